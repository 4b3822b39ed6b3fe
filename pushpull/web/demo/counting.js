/** WebSockets that say how much goes over them, in characters (for the Latin alphabet: bytes, before compression). */

/**
 * @param {import("./meter.js").Meter} meter
 * @returns {typeof WebSocket}
 */
export const countingSocket = (meter) =>
  class extends WebSocket {
    /**
     * @param {string | URL} url
     * @param {string | string[]} [protocols]
     */
    constructor(url, protocols) {
      super(url, protocols);
      this.addEventListener("message", ({ data }) => meter.bytes("in", data.length));
    }

    /** @param {any} data */
    send(data) {
      meter.bytes("out", data.length);
      super.send(data);
    }
  };

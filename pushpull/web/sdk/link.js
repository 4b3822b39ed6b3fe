/** One WebSocket: frames over it, paced and watched. Every way it can end becomes LinkClosed. */

import { LinkClosed } from "./errors.js";
import { encode, parse } from "./frames.js";
import { Pace } from "./timing.js";

/** @typedef {import("./frames.js").Frame} Frame */

const SUBPROTOCOL = "pushpull.v1";
/** Seconds for the upgrade, and again for `welcome`. */
export const OPEN_S = 10;
/** Heartbeats without any frame until the connection counts as dead; from the contract. */
const SILENCE = 2.5;
/** Bytes. What the browser holds for a line that does not take it; above it, frames wait. */
const BUFFERED_MAX = 1024 * 1024;
const BUFFERED_LOOK_MS = 20;

export const steady = () => performance.now() / 1000;

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Link {
  heardAt = steady();
  #socket;
  #pace = new Pace();
  #silenceS = OPEN_S;
  /** @type {(frame: Frame) => void} */
  #onFrame = () => {};
  /** @type {LinkClosed | null} */
  #closed = null;
  /** @type {(closed: LinkClosed) => void} */
  #onClosed = () => {};

  /** @param {WebSocket} socket open */
  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code, reason }) => this.end(code, reason);
    socket.onerror = null; // `close` follows and says more
  }

  /**
   * Upgrade within `openS` seconds. Rejects with LinkClosed.
   * @param {string} url
   * @param {{openS?: number, WebSocket: typeof globalThis.WebSocket}} how
   * @returns {Promise<Link>}
   */
  static open(url, { openS = OPEN_S, WebSocket }) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, SUBPROTOCOL);
      const timer = setTimeout(() => fail(1006, "no answer to the upgrade in time"), openS * 1000);
      const fail = (/** @type {number} */ code, /** @type {string} */ reason) => {
        clearTimeout(timer);
        socket.onopen = socket.onclose = null;
        socket.close();
        reject(new LinkClosed(code, reason));
      };
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Link(socket));
      };
      socket.onclose = ({ code, reason }) => fail(code, reason);
    });
  }

  /**
   * Say hello and wait for `welcome`; what comes before it is no part of the session. Rejects with LinkClosed.
   * @param {Frame} hello
   * @returns {Promise<Frame>}
   */
  async greet(hello) {
    const welcome = new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.end(4408, "no welcome in time"), OPEN_S * 1000);
      this.#onClosed = (closed) => {
        clearTimeout(timer);
        reject(closed);
      };
      this.#onFrame = (frame) => {
        if (frame.type !== "welcome") return;
        clearTimeout(timer);
        resolve(frame);
        // What follows in the same turn waits for whoever listens.
        this.#onFrame = (early) => this.#early.push(early);
      };
    });
    if (this.#closed !== null) throw this.#closed;
    this.#socket.send(encode(hello));
    const frame = await welcome;
    this.#silenceS = SILENCE * (frame.heartbeat_s ?? 25);
    const rate = frame.limits?.frames_per_s;
    if (typeof rate === "number" && rate > 0) this.#pace = new Pace(rate);
    return frame;
  }

  /** @type {Frame[]} */
  #early = [];

  /**
   * Give every frame to `onFrame` until the end, which rejects.
   * @param {(frame: Frame) => void} onFrame
   * @returns {Promise<never>}
   */
  listen(onFrame) {
    return new Promise((_, reject) => {
      if (this.#closed !== null) {
        reject(this.#closed);
        return;
      }
      this.#onClosed = reject;
      this.#onFrame = onFrame;
      for (const frame of this.#early.splice(0)) onFrame(frame);
    });
  }

  /** Whether the other side was silent for so long that it counts as gone. */
  get silent() {
    return steady() - this.heardAt > this.#silenceS;
  }

  /**
   * Send one frame, not faster than the service allows; nothing where the link is over.
   * @param {Frame} frame
   */
  async send(frame) {
    const waitS = this.#pace.waitS(steady());
    if (waitS > 0) await sleep(waitS * 1000);
    while (this.#closed === null && this.#socket.bufferedAmount > BUFFERED_MAX) await sleep(BUFFERED_LOOK_MS);
    if (this.#closed === null) this.#socket.send(encode(frame));
  }

  /**
   * It is over, now, whatever the other side makes of it.
   * @param {number} code
   * @param {string} reason
   */
  end(code, reason) {
    if (this.#closed !== null) return;
    this.#closed = new LinkClosed(code, reason);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#onClosed(this.#closed);
  }

  /** @param {unknown} text */
  #take(text) {
    this.heardAt = steady();
    let frame;
    try {
      frame = parse(text);
    } catch (error) {
      const { code, reason } = /** @type {LinkClosed} */ (error);
      this.end(code, reason);
      return;
    }
    // A refused send slows its own conversation down.
    if (frame.type === "error" && frame.code === "rate_limited" && frame.cmid == null) this.#pace.slowDown(steady());
    this.#onFrame(frame);
  }
}

/**
 * The three ways to ill-treat this device: cut its connection, keep its acks back, read slowly.
 *
 * They show that nothing gets lost: what is not acked comes again, what was missed is fetched, and none of it is shown twice.
 */

/** A slow reader takes two messages a second. */
const SLOW_MS = 500;

export class Switches {
  #chat;
  /** @type {Map<string, {cid: string, id: string}>} The newest message taken of each conversation. */
  #taken = new Map();
  /** Whether the visitor cut the connection. */
  isCut = false;
  #slow = false;
  /** @type {() => void} */
  #hurry = () => {};

  /** @param {any} chat */
  constructor(chat) {
    this.#chat = chat;
  }

  /** @param {boolean} on */
  cut(on) {
    this.isCut = on;
    if (on) this.#chat.pause();
    else this.#chat.resume();
  }

  /** @param {boolean} on */
  keepAcks(on) {
    this.#chat.autoAck = !on;
    if (!on) for (const message of this.#taken.values()) this.#chat.ack(message);
  }

  /** @param {boolean} on */
  slow(on) {
    this.#slow = on;
    if (!on) this.#hurry();
  }

  /**
   * A message was taken. A slow reader is done with it only after a while, and the client waits for that.
   * @param {{cid: string, id: string}} message
   */
  took(message) {
    this.#taken.set(message.cid, message);
    if (!this.#slow) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, SLOW_MS);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}

/**
 * Handing out what was received, one after the other, as fast as those who take it are done with it.
 *
 * Theory of operation. One event is in hand at a time, and the next is taken once everybody is done with it: that settles it in the
 * core, which acks it. Nothing is kept here; what waits is the inbox's.
 */

import { steady } from "./link.js";
import { isHidden } from "./page.js";

/**
 * @typedef {object} Parts
 * @property {import("./core.js").Core} core
 * @property {import("./consumers.js").Consumers} consumers
 * @property {import("./connection.js").Connection} connection
 * @property {() => boolean} isOver
 * @property {() => boolean} ackedByHand being done with a message says nothing; its owner acks it
 */

export class Dispatch {
  #parts;
  #running = false;
  #wasRoomy = true;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** There may be something to hand out, or somebody to hand it to. */
  async run() {
    if (this.#running) return;
    this.#running = true;
    const { core, consumers, isOver, ackedByHand } = this.#parts;
    while (consumers.ready && !isOver()) {
      const entry = core.inbox.take();
      if (entry === null) break;
      if (entry.event !== null) await consumers.hand(entry.event);
      core.settle(steady(), { ackedByHand: ackedByHand() });
      this.#tellConnection();
    }
    this.#running = false;
  }

  /** Acks may be due sooner than it knows, at once where timers are slow; and there may be room for what was put off. */
  #tellConnection() {
    const { connection, core } = this.#parts;
    const { roomy } = core.inbox;
    if (isHidden() || (roomy && !this.#wasRoomy)) connection.wake();
    else connection.look();
    this.#wasRoomy = roomy;
  }
}

/**
 * What a session says: the frames that the core and the requests owe, in their order, and the acks once what they ack is kept.
 *
 * Theory of operation. It runs when somebody wakes it and at the core's next time, never twice at once, and only while a session is
 * open. A session that ends while it runs takes with it what was said in vain: all of that comes again in the next one, so nothing is
 * taken from the core where there is nobody to say it to.
 */

import { steady } from "./link.js";

/** @typedef {import("./frames.js").Frame} Frame */

/** Milliseconds: a longer timer fires at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * @typedef {object} Parts
 * @property {import("./core.js").Core} core
 * @property {import("./requests.js").Requests} requests
 * @property {() => import("./link.js").Link | null} link of the session that is open
 * @property {(moved: Map<string, string | null>) => Promise<void>} keep positions, before they are acked
 * @property {(direction: "in" | "out", frame: Frame) => void} onWire
 * @property {() => boolean} isHidden nobody sees the page: timers may be a minute late
 */

export class Pump {
  #parts;
  #dirty = false;
  #pumping = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #timerAt = Infinity;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** There is something to say. */
  wake() {
    this.#dirty = true;
    if (!this.#pumping && this.#parts.link() !== null) void this.#pump();
  }

  /** The core's next time may be sooner than it was. */
  look() {
    const at = this.#parts.core.nextAt(steady()) ?? Infinity;
    if (at < this.#timerAt) this.#wakeAt(at);
  }

  /** The session is over. */
  rest() {
    this.#wakeAt(Infinity);
  }

  /** Persist what was stored, then ack it: in this order, so that an ack is never ahead of the device. */
  async flush({ atOnce = this.#parts.isHidden() } = {}) {
    const { core, keep } = this.#parts;
    const acks = core.ack(steady(), { atOnce });
    if (acks.length > 0 || atOnce || core.acks.dueAt === null) {
      const moved = core.takeMoved();
      if (moved.size > 0) await keep(moved);
    }
    if (acks.length > 0) await this.say({ type: "ack", acks: Object.fromEntries(acks) });
  }

  /** @param {Frame} frame goes out now, where a session is open */
  async say(frame) {
    const link = this.#parts.link();
    if (link === null) return;
    this.#parts.onWire("out", frame);
    await link.send(frame);
  }

  async #pump() {
    this.#pumping = true;
    try {
      while (this.#dirty && this.#parts.link() !== null) {
        this.#dirty = false;
        await this.flush();
        const link = this.#parts.link();
        if (link === null) break; // it ended meanwhile
        for (const frame of this.#owed()) {
          if (this.#parts.link() !== link) break;
          await this.say(frame);
        }
      }
    } finally {
      this.#pumping = false;
    }
    this.#wakeAt(this.#parts.core.nextAt(steady()) ?? Infinity);
  }

  #owed() {
    const { core, requests } = this.#parts;
    // A pull of a conversation that is not listed yet would be taken for one by a stranger.
    const asked = core.listComplete ? requests.outgoing() : [];
    return [...asked, ...core.outgoing(steady())];
  }

  /** @param {number} at in steady seconds */
  #wakeAt(at) {
    clearTimeout(this.#timer);
    this.#timerAt = this.#parts.link() === null ? Infinity : at;
    if (this.#timerAt === Infinity) return;
    const waitMs = Math.min(TIMER_MAX_MS, Math.max(1, (at - steady()) * 1000));
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.wake();
    }, waitMs);
  }
}

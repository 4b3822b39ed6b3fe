/**
 * What was received and not yet taken, in order; and how far the owner has come.
 *
 * Theory of operation. A conversation has three places in a device: received (rule.js), handed (the owner has seen it) and stored
 * (the owner is done with it). Acks and the positions that are kept follow `stored`. A new connection resumes from `handed`: what
 * is only queued is dropped then and comes again, so that one position has to be checked against a log that may have diverged.
 *
 * Each entry carries the position it leads to. A `reset` is an entry, too, in its place among the messages.
 *
 * Bounded: `full` from `maxQueued` entries on; the caller then puts frames off and pulls when there is room, so it grows past the
 * bound by one page at most. Events without a position are dropped while it is full.
 */

import { seqOf } from "./frames.js";

/**
 * One thing to take; without an event only the position moves (everything in a range was redacted).
 * @typedef {{event: any, cid?: string, pos?: string}} Entry
 */

export class Inbox {
  #maxQueued;
  /** @type {Entry[]} */
  #queue = [];
  /** @type {Entry | null} */
  #inHand = null;

  /**
   * @param {Map<string, string>} positions
   * @param {number} maxQueued
   */
  constructor(positions, maxQueued) {
    this.#maxQueued = maxQueued;
    this.handed = new Map(positions);
    this.stored = new Map(positions);
  }

  get length() {
    return this.#queue.length;
  }

  get full() {
    return this.#queue.length >= this.#maxQueued;
  }

  /** Half empty: time to pull what was put off (not at each message taken, which would be a pull per message). */
  get roomy() {
    return this.#queue.length <= this.#maxQueued / 2;
  }

  /**
   * A conversation starts here for this device.
   * @param {string} cid
   * @param {string} pos
   */
  begin(cid, pos) {
    this.handed.set(cid, pos);
    this.stored.set(cid, pos);
  }

  /**
   * Queue messages, ascending, after all of which the device stands at `pos`.
   * @param {string} cid
   * @param {any[]} messages
   * @param {string} pos
   */
  put(cid, messages, pos) {
    for (const event of messages) this.#queue.push({ event, cid, pos: event.id });
    if (messages.at(-1)?.id !== pos) this.#queue.push({ event: null, cid, pos });
  }

  /**
   * Queue a reset; what is queued and void after it goes at once, and what is in hand no longer counts.
   * @param {any} reset
   */
  putReset(reset) {
    if (reset.reason === "epoch") {
      this.#drop((entry) => entry.cid === reset.cid);
    } else if (reset.reason !== "trimmed") {
      const floor = seqOf(reset.pos);
      this.#drop((entry) => entry.cid === reset.cid && entry.pos !== undefined && seqOf(entry.pos) > floor);
    }
    if (this.#inHand?.cid === reset.cid && reset.reason !== "trimmed") this.#inHand = null;
    this.#queue.push({ event: reset, cid: reset.cid, pos: reset.pos });
  }

  /**
   * Queue an event that moves no position; dropped while the queue is full.
   * @param {any} event
   */
  putEvent(event) {
    if (!this.full) this.#queue.push({ event });
  }

  /** The next entry, or null. The owner has seen it from now on. */
  take() {
    const entry = this.#queue.shift() ?? null;
    // Taken away first, so that `handed` is in the order in which conversations last moved.
    if (entry?.cid !== undefined && entry.pos !== undefined && this.handed.delete(entry.cid)) {
      this.handed.set(entry.cid, entry.pos);
    }
    if (entry !== null) this.#inHand = entry;
    return entry;
  }

  /**
   * The owner is done with what it has in hand. Returns [cid, pos] where a position moved.
   *
   * `resetsOnly`: messages are acked by hand; what lies before a marker may not be stored yet, so it counts as little.
   * @param {{resetsOnly?: boolean}} [how]
   * @returns {[string, string] | null}
   */
  settle({ resetsOnly = false } = {}) {
    const entry = this.#inHand;
    this.#inHand = null;
    if (entry?.cid === undefined || entry.pos === undefined) return null;
    const back = entry.event?.type === "reset";
    const stored = this.stored.get(entry.cid) ?? entry.pos;
    if (resetsOnly && (!back || seqOf(stored) <= seqOf(entry.pos))) return null;
    return this.markStored(entry.cid, entry.pos, { back }) ? [entry.cid, entry.pos] : null;
  }

  /**
   * Everything up to `pos` is stored; false where it was already, or lies above what was handed out.
   * @param {string} cid
   * @param {string} pos
   * @param {{back?: boolean}} [how]
   */
  markStored(cid, pos, { back = false } = {}) {
    const stored = this.stored.get(cid);
    if (stored === undefined || seqOf(pos) > seqOf(this.handed.get(cid) ?? "0-0")) return false;
    if (!back && seqOf(pos) <= seqOf(stored)) return false;
    this.stored.set(cid, pos);
    return true;
  }

  /** A new connection: drop what is queued and has a position, it comes again from `handed`. */
  rewind() {
    this.#drop((entry) => entry.pos !== undefined);
  }

  /**
   * The conversation was left: it has no position any more. What is queued of it may still be taken; that moves no position either,
   * should another one of the same name begin meanwhile.
   * @param {string} cid
   */
  forget(cid) {
    this.handed.delete(cid);
    this.stored.delete(cid);
    this.#queue = this.#queue.map((entry) => (entry.cid === cid ? { event: entry.event } : entry));
    if (this.#inHand?.cid === cid) this.#inHand = null;
  }

  /** @param {(entry: Entry) => boolean} isVoid */
  #drop(isVoid) {
    this.#queue = this.#queue.filter((entry) => !isVoid(entry));
  }
}

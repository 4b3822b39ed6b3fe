/**
 * Messages on their way out, in order per conversation, until the service has each or refuses it for good.
 *
 * Theory of operation. Each conversation is a lane (lane.js), which says what is in flight. A temporary error, or a cut connection,
 * sends a message back to waiting under the same cmid: the service stores it once however often it comes. A permanent error fails
 * that one message alone.
 *
 * What was stored stays known for a while (KEPT): if a failover loses it, `returnAbove` puts it back in front.
 *
 * Pure: `now` in steady seconds, `nowMs` the service's clock. Bounded: `full` from `maxPending` on; the caller waits.
 */

import { seqOf } from "./frames.js";
import { Lane, Outgoing } from "./lane.js";

const KEPT = 1000;

/** @typedef {import("./errors.js").PushpullError} PushpullError */

export { Outgoing };

export class Outbox {
  #maxPending;
  /** @type {Map<string, Lane>} */
  #lanes = new Map();
  #pending = 0;
  /** @type {Outgoing[]} */
  #kept = [];

  /** @param {number} [maxPending] */
  constructor(maxPending = 1000) {
    this.#maxPending = maxPending;
  }

  get length() {
    return this.#pending;
  }

  get full() {
    return this.#pending >= this.#maxPending;
  }

  /** Everything that is not done, each conversation's in order. */
  get waiting() {
    return [...this.#lanes.values()].flatMap((lane) => lane.queue);
  }

  /** @param {Outgoing} outgoing goes behind the others of its conversation */
  add(outgoing) {
    this.#lane(outgoing.cid).queue.push(outgoing);
    this.#pending += 1;
  }

  /**
   * What to send now, to conversations that are known; from here on it is in flight.
   * @param {{now: number, nowMs: number, isKnown?: (cid: string) => boolean}} when
   */
  take({ now, nowMs, isKnown = () => true }) {
    return [...this.#lanes].flatMap(([cid, lane]) => (isKnown(cid) ? lane.take(now, nowMs) : []));
  }

  /**
   * When a lane that waits after an error may go on; null: none waits for time.
   * @param {number} now
   */
  dueAt(now) {
    let first = null;
    for (const lane of this.#lanes.values()) {
      const at = lane.dueAt(now);
      if (at !== null) first = first === null ? at : Math.min(first, at);
    }
    return first;
  }

  /**
   * The service has it.
   * @param {{cid: string, cmid: string, id: string, dup?: boolean}} sent
   */
  onSent({ cid, cmid, id, dup = false }) {
    const [lane, outgoing] = this.#find(cid, cmid);
    if (lane === null) return;
    lane.worked();
    outgoing.result = { cid, cmid, id, dup };
    this.#kept.push(outgoing);
    if (this.#kept.length > KEPT) this.#kept.shift();
    this.#remove(lane, outgoing);
  }

  /**
   * The service refused it: again later where that is temporary, else it is done.
   * @param {string} cid
   * @param {string} cmid
   * @param {PushpullError} error
   * @param {{temporary: boolean, now: number, chance: number}} how
   */
  onRefused(cid, cmid, error, { temporary, now, chance }) {
    const [lane, outgoing] = this.#find(cid, cmid);
    if (lane === null) return;
    if (!temporary) {
      outgoing.error = error;
      lane.trouble();
      this.#remove(lane, outgoing);
      return;
    }
    lane.putOff(outgoing, { now, chance, atLeastS: (error.retryAfterMs ?? 0) / 1000 });
  }

  /**
   * It was refused as `cmid_expired`: hold its lane until `rename` or `settle` decides. Null: no such send is in flight.
   * @param {string} cid
   * @param {string} cmid
   */
  expire(cid, cmid) {
    const [lane, outgoing] = this.#find(cid, cmid);
    if (lane === null) return null;
    lane.hold(outgoing);
    return outgoing;
  }

  /**
   * Send it under a new cmid, in its old place: it is known not to have been stored under the old one. False: it is done
   * meanwhile.
   * @param {Outgoing} outgoing
   * @param {string} cmid
   */
  rename(outgoing, cmid) {
    const lane = this.#laneOf(outgoing);
    if (lane === null) return false;
    outgoing.cmid = cmid;
    outgoing.firstAt = null;
    lane.release();
    return true;
  }

  /**
   * Finish a held send whose fate was found out elsewhere.
   * @param {Outgoing} outgoing
   * @param {{result?: Outgoing["result"], error?: PushpullError | null}} outcome
   */
  settle(outgoing, { result = null, error = null }) {
    const lane = this.#laneOf(outgoing);
    if (lane === null) return;
    lane.release();
    outgoing.result = result;
    outgoing.error = error;
    this.#remove(lane, outgoing);
  }

  /** @param {number} now nothing in flight will be answered: all of it waits again, in order */
  disconnected(now) {
    for (const lane of this.#lanes.values()) lane.disconnected(now);
  }

  /**
   * A failover lost what is above `seq`: own messages from there go out again, first. Returns them.
   * @param {string} cid
   * @param {number} seq
   * @param {boolean} everything
   */
  returnAbove(cid, seq, everything = false) {
    const isLost = (/** @type {Outgoing} */ o) =>
      o.cid === cid && o.result !== null && (everything || seqOf(o.result.id) > seq);
    const lost = this.#kept.filter(isLost).sort((one, other) => seqOf(one.result?.id ?? "0") - seqOf(other.result?.id ?? "0"));
    this.#kept = this.#kept.filter((outgoing) => !lost.includes(outgoing));
    for (const outgoing of lost) {
      outgoing.result = null;
      outgoing.inFlight = false;
    }
    if (lost.length > 0) this.#lane(cid).queue.unshift(...lost);
    this.#pending += lost.length;
    return lost;
  }

  /**
   * The conversation was deleted: what waits for it fails, and what was stored there does not return. What is in flight is answered
   * yet.
   * @param {string} cid
   * @param {PushpullError} error
   */
  onDeleted(cid, error) {
    this.#kept = this.#kept.filter((outgoing) => outgoing.cid !== cid);
    const lane = this.#lanes.get(cid);
    if (lane === undefined) return;
    for (const outgoing of lane.giveUp()) {
      outgoing.error = error;
      this.#remove(lane, outgoing);
    }
  }

  /** @param {PushpullError} error the device ends: fail whatever still waits */
  abandon(error) {
    for (const outgoing of this.waiting) {
      const lane = this.#laneOf(outgoing);
      outgoing.error = error;
      if (lane !== null) this.#remove(lane, outgoing);
    }
  }

  /** @param {string} cid */
  #lane(cid) {
    const lane = this.#lanes.get(cid) ?? new Lane();
    this.#lanes.set(cid, lane);
    return lane;
  }

  /** @param {Outgoing} outgoing */
  #laneOf(outgoing) {
    const lane = this.#lanes.get(outgoing.cid);
    return lane?.queue.includes(outgoing) ? lane : null;
  }

  /**
   * @param {string} cid
   * @param {string} cmid
   * @returns {[Lane, Outgoing] | [null, null]}
   */
  #find(cid, cmid) {
    const lane = this.#lanes.get(cid);
    const outgoing = lane?.find(cmid);
    return lane !== undefined && outgoing !== undefined ? [lane, outgoing] : [null, null];
  }

  /**
   * @param {Lane} lane
   * @param {Outgoing} outgoing
   */
  #remove(lane, outgoing) {
    lane.remove(outgoing);
    this.#pending -= 1;
    if (lane.queue.length === 0) this.#lanes.delete(outgoing.cid);
    outgoing.onDone?.(outgoing);
  }
}

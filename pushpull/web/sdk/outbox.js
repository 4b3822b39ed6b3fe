/**
 * Messages on their way out, in order per conversation, until the service has each or refuses it for good.
 *
 * Theory of operation. Each conversation is a lane. From its front up to WINDOW sends are in flight. A temporary error, or a cut
 * connection, sends a message back to waiting under the same cmid: the service stores it once however often it comes. When one
 * fails, the service also fails those behind it, so a lane that has seen a temporary error takes nothing new until every send in
 * flight was answered, waits, and goes on in the old order. A permanent error fails that one message alone.
 *
 * What was stored stays known for a while (KEPT): if a failover loses it, `returnAbove` puts it back in front.
 *
 * Pure: `now` in steady seconds, `nowMs` the service's clock. Bounded: `full` from `maxPending` on; the caller waits.
 */

import { seqOf } from "./frames.js";
import { Backoff } from "./timing.js";

/** In flight per conversation. They share a group commit at the service; more only makes a failure costlier. */
const WINDOW = 16;
/** Seconds between two tries on a connection that is open: they cost a frame each, no handshake. */
const LANE_LONGEST_S = 2;
const KEPT = 1000;

/** @typedef {import("./errors.js").PushpullError} PushpullError */
/** @typedef {import("./frames.js").Raw} Raw */

/** One message and what became of it: `result` or `error` once it is done. */
export class Outgoing {
  inFlight = false;
  again = false;
  /** @type {{cid: string, cmid: string, id: string, dup: boolean} | null} */
  result = null;
  /** @type {PushpullError | null} */
  error = null;
  /** @type {((done: Outgoing) => void) | null} */
  onDone = null;

  /**
   * @param {{cid: string, cmid: string, body: Raw, kind?: string, quiet?: boolean, mentions?: string[], ref?: number | null,
   *   firstAt?: number | null, queuedAt?: number}} message
   */
  constructor({ cid, cmid, body, kind = "message", quiet = false, mentions = [], ref = null, firstAt = null, queuedAt = 0 }) {
    this.cid = cid;
    this.cmid = cmid;
    this.body = body;
    this.kind = kind;
    this.quiet = quiet;
    this.mentions = mentions;
    this.ref = ref;
    this.firstAt = firstAt;
    this.queuedAt = queuedAt;
  }

  /** As `send` says it. The first try names no time: it repeats nothing. */
  frame() {
    return {
      type: "send",
      cid: this.cid,
      cmid: this.cmid,
      body: this.body,
      ...(this.kind === "message" ? {} : { kind: this.kind }),
      ...(this.quiet ? { quiet: true } : {}),
      ...(this.mentions.length > 0 ? { mentions: this.mentions } : {}),
      ...(this.ref === null ? {} : { ref: this.ref }),
      ...(this.again ? { first_at: this.firstAt } : {}),
    };
  }
}

class Lane {
  /** @type {Outgoing[]} */
  queue = [];
  inFlight = 0;
  /** A temporary error came: settle what is in flight first. */
  troubled = false;
  /** Expired sends whose fate is being looked up. */
  held = 0;
  notBefore = 0;
  backoff = new Backoff(LANE_LONGEST_S);

  /** @param {Outgoing} outgoing is in flight no more; trouble lasts until the last one has landed */
  land(outgoing) {
    outgoing.inFlight = false;
    this.inFlight -= 1;
    this.troubled = this.troubled && this.inFlight > 0;
  }
}

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
   * What to send now; from here on it is in flight.
   * @param {{now: number, nowMs: number}} times
   */
  take({ now, nowMs }) {
    /** @type {Outgoing[]} */
    const taken = [];
    for (const lane of this.#lanes.values()) {
      if (lane.troubled || lane.held > 0 || now < lane.notBefore) continue;
      for (const outgoing of lane.queue) {
        if (lane.inFlight >= WINDOW) break;
        if (outgoing.inFlight) continue;
        outgoing.inFlight = true;
        outgoing.again = outgoing.firstAt !== null;
        outgoing.firstAt ??= nowMs;
        lane.inFlight += 1;
        taken.push(outgoing);
      }
    }
    return taken;
  }

  /**
   * When a lane that waits after an error may go on; null: none waits for time.
   * @param {number} now
   */
  dueAt(now) {
    let first = null;
    for (const lane of this.#lanes.values()) {
      if (lane.troubled || lane.held > 0 || lane.notBefore <= now) continue;
      first = first === null ? lane.notBefore : Math.min(first, lane.notBefore);
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
    lane.backoff.failures = 0;
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
      lane.troubled = true; // those behind it fail as well: a new one must not overtake them
      this.#remove(lane, outgoing);
      return;
    }
    if (!lane.troubled) {
      lane.troubled = true;
      lane.notBefore = now + Math.max(lane.backoff.nextDelayS(chance), (error.retryAfterMs ?? 0) / 1000);
    }
    lane.land(outgoing);
  }

  /**
   * It was refused as `cmid_expired`: hold its lane until `rename` or `settle` decides. Null: no such send is in flight.
   * @param {string} cid
   * @param {string} cmid
   */
  expire(cid, cmid) {
    const [lane, outgoing] = this.#find(cid, cmid);
    if (lane === null) return null;
    lane.held += 1;
    lane.troubled = true;
    lane.land(outgoing);
    return outgoing;
  }

  /**
   * Send it under a new cmid, in its old place: it is known not to have been stored under the old one.
   * @param {Outgoing} outgoing
   * @param {string} cmid
   */
  rename(outgoing, cmid) {
    const lane = this.#laneOf(outgoing);
    if (lane === null) return;
    outgoing.cmid = cmid;
    outgoing.firstAt = null;
    lane.held -= 1;
  }

  /**
   * Finish a held send whose fate was found out elsewhere.
   * @param {Outgoing} outgoing
   * @param {{result?: Outgoing["result"], error?: PushpullError | null}} outcome
   */
  settle(outgoing, { result = null, error = null }) {
    const lane = this.#laneOf(outgoing);
    if (lane === null) return;
    lane.held -= 1;
    outgoing.result = result;
    outgoing.error = error;
    this.#remove(lane, outgoing);
  }

  /** @param {number} now nothing in flight will be answered: all of it waits again, in order */
  disconnected(now) {
    for (const lane of this.#lanes.values()) {
      for (const outgoing of lane.queue) outgoing.inFlight = false;
      lane.inFlight = 0;
      lane.troubled = false;
      lane.notBefore = now;
    }
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
    const outgoing = lane?.queue.find((one) => one.cmid === cmid && one.inFlight);
    return lane !== undefined && outgoing !== undefined ? [lane, outgoing] : [null, null];
  }

  /**
   * @param {Lane} lane
   * @param {Outgoing} outgoing
   */
  #remove(lane, outgoing) {
    if (outgoing.inFlight) lane.land(outgoing);
    lane.queue.splice(lane.queue.indexOf(outgoing), 1);
    this.#pending -= 1;
    if (lane.queue.length === 0) this.#lanes.delete(outgoing.cid);
    outgoing.onDone?.(outgoing);
  }
}

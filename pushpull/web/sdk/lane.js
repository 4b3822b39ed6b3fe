/**
 * A message on its way out, and those of one conversation in their order: which are in flight, and when the next may go.
 *
 * Theory of operation. From the front up to WINDOW sends are in flight. When one fails, the service also fails those behind it, so a lane
 * that has seen an error is in trouble: it takes nothing new until every send in flight was answered, waits, and goes on in the old
 * order. It takes nothing new either while a send is held, whose fate is being looked up.
 *
 * Pure: `now` in steady seconds, `nowMs` the service's clock. Bounded by the outbox that it is a part of.
 */

import { Backoff } from "./timing.js";

/** @typedef {import("./errors.js").PushpullError} PushpullError */
/** @typedef {import("./frames.js").Raw} Raw */

/** In flight per conversation. They share a group commit at the service; more only makes a failure costlier. */
const WINDOW = 16;
/** Seconds between two tries on a connection that is open: they cost a frame each, no handshake. */
const LONGEST_S = 2;

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

  /** As the owner of a chat sees what waits. */
  shown() {
    const { cid, cmid, body, kind, quiet, mentions, ref, queuedAt } = this;
    return { cid, cmid, body: body.value, kind, quiet, mentions, ref, queuedAt };
  }

  /** As the owner of a chat is told of its end. */
  outcome() {
    const { cid, cmid, result, error } = this;
    return error === null ? { type: "sent", ...result } : { type: "unsent", cid, cmid, error };
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

export class Lane {
  /** @type {Outgoing[]} */
  queue = [];
  #inFlight = 0;
  /** An error came: settle what is in flight first. */
  #troubled = false;
  /** Expired sends whose fate is being looked up. */
  #held = 0;
  #notBefore = 0;
  #backoff = new Backoff(LONGEST_S);

  /**
   * What to send now; from here on it is in flight.
   * @param {number} now
   * @param {number} nowMs
   * @returns {Outgoing[]}
   */
  take(now, nowMs) {
    if (this.#stands || now < this.#notBefore) return [];
    /** @type {Outgoing[]} */
    const taken = [];
    for (const outgoing of this.queue) {
      if (this.#inFlight >= WINDOW) break;
      if (outgoing.inFlight) continue;
      outgoing.inFlight = true;
      outgoing.again = outgoing.firstAt !== null;
      outgoing.firstAt ??= nowMs;
      this.#inFlight += 1;
      taken.push(outgoing);
    }
    return taken;
  }

  /**
   * When it may go on after an error; null: it does not wait for time.
   * @param {number} now
   */
  dueAt(now) {
    return this.#stands || this.#notBefore <= now ? null : this.#notBefore;
  }

  /**
   * Its send of this cmid that is in flight.
   * @param {string} cmid
   */
  find(cmid) {
    return this.queue.find((outgoing) => outgoing.cmid === cmid && outgoing.inFlight);
  }

  /** The service takes messages: the next trouble begins with the shortest wait. */
  worked() {
    this.#backoff.failures = 0;
  }

  /** One was refused for good, and those behind it fail as well: a new one must not overtake them. */
  trouble() {
    this.#troubled = true;
  }

  /**
   * It was refused for now: what is in flight lands first, then all of it waits.
   * @param {Outgoing} outgoing
   * @param {{now: number, chance: number, atLeastS: number}} wait
   */
  putOff(outgoing, { now, chance, atLeastS }) {
    if (!this.#troubled) {
      this.#troubled = true;
      this.#notBefore = now + Math.max(this.#backoff.nextDelayS(chance), atLeastS);
    }
    this.#land(outgoing);
  }

  /** @param {Outgoing} outgoing its fate is being looked up, until `release` */
  hold(outgoing) {
    this.#held += 1;
    this.#troubled = true;
    this.#land(outgoing);
  }

  release() {
    this.#held -= 1;
  }

  /** What waits, and is not to be sent any more: no fate is looked up for it either. */
  giveUp() {
    this.#held = 0;
    return this.queue.filter(({ inFlight }) => !inFlight);
  }

  /** @param {Outgoing} outgoing is done */
  remove(outgoing) {
    if (outgoing.inFlight) this.#land(outgoing);
    this.queue.splice(this.queue.indexOf(outgoing), 1);
  }

  /** @param {number} now nothing in flight will be answered: all of it waits again, in order */
  disconnected(now) {
    for (const outgoing of this.queue) outgoing.inFlight = false;
    this.#inFlight = 0;
    this.#troubled = false;
    this.#notBefore = now;
  }

  get #stands() {
    return this.#troubled || this.#held > 0;
  }

  /** @param {Outgoing} outgoing is in flight no more; trouble lasts until the last one has landed */
  #land(outgoing) {
    outgoing.inFlight = false;
    this.#inFlight -= 1;
    this.#troubled = this.#troubled && this.#inFlight > 0;
  }
}

/**
 * One device without its connection: frames in, frames to send out. No I/O, no clock; `now` in steady seconds.
 *
 * Theory of operation. `opened` starts a session with what `welcome` says, `receive` takes each frame, `outgoing` gives what is to
 * be sent at this moment, `nextAt` says when to ask again if nothing happens, `closed` ends the session. What outlives a session:
 * where the device stands (inbox.handed), what it holds (held), what it has to send (outbox). All else is made anew: each
 * conversation goes on from the row that the next session lists.
 *
 * What a frame does is its part's: the list and its rows listing.js, messages and notices arrivals.js, logs that changed resets.js,
 * errors refusals.js. The core makes the parts, and asks each what it has to send.
 *
 * It is the Python client's core in another language: tests/conformance holds both to the same cases.
 */

import { Acks } from "./acks.js";
import { Arrivals } from "./arrivals.js";
import { Conversations } from "./conversations.js";
import { seqOf } from "./frames.js";
import { Inbox } from "./inbox.js";
import { Listing } from "./listing.js";
import { Outbox } from "./outbox.js";
import { Again, Pulls } from "./pulls.js";
import { Reads } from "./reads.js";
import { Refusals } from "./refusals.js";
import { Resets } from "./resets.js";
import { Screen, Signals } from "./screen.js";

/** @typedef {import("./frames.js").Frame} Frame */

/** Messages received and not taken yet. Past it the device lets messages lie at the service and pulls them later. */
const MAX_QUEUED = 1000;

export class Core {
  acks = new Acks();
  held = new Conversations();
  user = "";
  /** @type {Map<string, string | null>} Positions that were stored and not kept by the owner yet; null: left. */
  #moved = new Map();
  #clockAheadMs;
  #pulls = new Pulls();
  #screen = new Screen();
  #signals = new Signals();
  #reads = new Reads();
  #again = new Again();
  /** @type {Frame[]} Pongs and list pages: at most one per frame received. */
  #answers = [];
  #listing;
  #resets;
  #refusals;
  #handlers;

  /**
   * @param {{positions?: Map<string, string>, chance?: () => number, maxQueued?: number, maxPending?: number,
   *   clockAheadMs?: number}} [options] `clockAheadMs`: the service's clock minus `now`, as far as it is known before a welcome says so
   */
  constructor({ positions = new Map(), chance = Math.random, maxQueued = MAX_QUEUED, maxPending, clockAheadMs = 0 } = {}) {
    const inbox = (this.inbox = new Inbox(positions, maxQueued));
    const outbox = (this.outbox = new Outbox(maxPending));
    this.#clockAheadMs = clockAheadMs;
    const device = { inbox, held: this.held, acks: this.acks, pulls: this.#pulls, reads: this.#reads, screen: this.#screen };
    this.#resets = new Resets({ ...device, outbox });
    this.#listing = new Listing({ ...device, outbox, resets: this.#resets, moved: this.#moved });
    this.#refusals = new Refusals({ ...device, outbox, again: this.#again, chance });
    this.#handlers = this.#handlersWith(new Arrivals(device));
  }

  /** This session has listed every conversation; before that it knows only some. */
  get listComplete() {
    return this.#listing.complete;
  }

  /** Sends refused with cmid_expired: whoever drives this looks their cmids up, and takes them out. */
  get expired() {
    return this.#refusals.expired;
  }

  /** Sends lost by a failover and waiting again: whoever keeps the outbox keeps them, too, and takes them out. */
  get returned() {
    return this.#resets.returned;
  }

  /**
   * What a hello says of the screen, and of where the device stands; see Listing.
   * @param {number} roomBytes for positions
   */
  hello(roomBytes = Infinity) {
    return { ...this.#screen.hello(), ...this.#listing.hello(roomBytes) };
  }

  /**
   * A session is open. What was queued and not taken is dropped: the service sends it again from `handed`.
   * @param {Frame} welcome
   * @param {number} now
   */
  opened(welcome, now) {
    this.user = welcome.user;
    this.#screen.opened(welcome.features);
    this.#clockAheadMs = (welcome.time ?? 0) - now * 1000;
    this.acks.delayS = (welcome.ack?.delay_ms ?? 200) / 1000;
    this.acks.maxMessages = welcome.ack?.max ?? 32;
    this.#listing.opened();
  }

  /** @param {number} now the session is over */
  closed(now) {
    this.inbox.rewind();
    this.held.unlist();
    this.#pulls.clear();
    this.#answers = [];
    this.#signals.clear();
    this.#again.clear();
    this.outbox.disconnected(now);
  }

  /**
   * Take one frame of the session.
   * @param {Frame} frame
   * @param {number} now
   */
  receive(frame, now) {
    this.#handlers.get(frame.type)?.(frame, now);
  }

  /**
   * The frames to send now, in this order. Acks wait for `ack`.
   * @param {number} now
   * @returns {Frame[]}
   */
  outgoing(now) {
    const out = [...this.#answers.splice(0), ...this.#again.take(now), ...this.#screen.take(), ...this.#dueReads()];
    if (this.inbox.roomy) out.push(...this.#pulls.take(this.held.positions, now));
    const isKnown = (/** @type {string} */ cid) => this.#listing.knows(cid);
    out.push(...this.outbox.take({ now, nowMs: this.serviceTimeMs(now), isKnown }).map((outgoing) => outgoing.frame()));
    return [...out, ...this.#signals.take()];
  }

  /**
   * The service's clock, in ms.
   * @param {number} now
   */
  serviceTimeMs(now) {
    return Math.trunc(now * 1000 + this.#clockAheadMs);
  }

  /**
   * When `outgoing` or `ack` has something to do even if nothing else happens; null: never.
   * @param {number} now
   */
  nextAt(now) {
    const pullsAt = this.inbox.roomy ? this.#pulls.dueAt : null; // without room, taking wakes whoever drives this
    const times = [this.acks.dueAt, this.outbox.dueAt(now), pullsAt, this.#again.dueAt].filter((at) => at !== null);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /**
   * The acks that are due.
   * @param {number} now
   * @param {{atOnce?: boolean}} [how]
   */
  ack(now, { atOnce = false } = {}) {
    return this.acks.take(now, atOnce);
  }

  /**
   * `cid` is on the screen now; null: no conversation is.
   * @param {string | null} cid
   * @param {boolean} active
   */
  show(cid, active) {
    this.#screen.show(cid, active);
    const position = cid === null ? undefined : this.held.positions.get(cid);
    if (cid !== null && position !== undefined && active) {
      position.wake(!this.#screen.known);
      this.#pulls.want(cid);
    }
  }

  /**
   * Say something passing, where it can be said now: in a conversation that this session has listed.
   * @param {string} cid
   * @param {import("./frames.js").Raw} body
   */
  signal(cid, body) {
    if (this.held.positions.has(cid)) this.#signals.say(cid, body);
  }

  /**
   * The owner is done with the last thing it took; with `ackedByHand` that says nothing about messages.
   * @param {number} now
   * @param {{ackedByHand?: boolean}} [how]
   */
  settle(now, { ackedByHand = false } = {}) {
    const moved = this.inbox.settle({ resetsOnly: ackedByHand });
    if (moved !== null) this.#stored(...moved, now);
  }

  /**
   * The owner says so itself.
   * @param {string} cid
   * @param {string} pos
   * @param {number} now
   */
  markStored(cid, pos, now) {
    if (this.inbox.markStored(cid, pos)) this.#stored(cid, pos, now);
  }

  /** Positions to keep, which whoever drives this takes before it acks them. */
  takeMoved() {
    const moved = new Map(this.#moved);
    this.#moved.clear();
    return moved;
  }

  /**
   * The user has read up to `seq`.
   * @param {string} cid
   * @param {number} seq
   */
  read(cid, seq) {
    this.#reads.want(cid, seq);
  }

  /**
   * @param {string} cid
   * @param {string} pos
   * @param {number} now
   */
  #stored(cid, pos, now) {
    this.#moved.set(cid, pos);
    this.acks.stored(cid, seqOf(pos), now);
  }

  /** Reads of conversations that this session knows; of the others once the list shows that there are none. */
  #dueReads() {
    const due = this.#reads.take((cid) => this.listComplete || this.held.positions.has(cid));
    return due.map(([cid, seq]) => this.#again.marked({ type: "read", cid, seq }));
  }

  /**
   * @param {Arrivals} arrivals
   * @returns {Map<string, (frame: Frame, now: number) => void>} by the type of a frame; others pass
   */
  #handlersWith(arrivals) {
    return new Map([
      ["sync", (frame, now) => this.#onSync(frame, now)],
      ["messages", (frame, now) => arrivals.onMessages(frame, now)],
      ["notice", (frame) => arrivals.onNotice(frame)],
      ["reset", (frame) => this.#resets.onReset(frame)],
      ["sent", (frame) => this.outbox.onSent(/** @type {any} */ (frame))],
      ["cursors", (frame) => arrivals.onCursors(frame)],
      ["receipt", (frame) => arrivals.onPassing(frame)],
      ["signal", (frame) => arrivals.onPassing(frame)],
      ["conversation", (frame, now) => this.#listing.onChange(frame, now)],
      ["error", (frame, now) => this.#refusals.onError(frame, now)],
      ["ping", (frame) => this.#onPing(frame)],
    ]);
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  #onSync(frame, now) {
    this.#listing.onSync(frame, now);
    if (frame.next != null) this.#answers.push(this.#again.marked({ type: "sync", after: frame.next }));
  }

  /** @param {Frame} frame */
  #onPing(frame) {
    this.#answers.push(frame.t == null ? { type: "pong" } : { type: "pong", t: frame.t });
  }
}

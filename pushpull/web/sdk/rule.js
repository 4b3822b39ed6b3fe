/**
 * The client's whole rule for receiving, one conversation at a time.
 *
 * Theory of operation. A device stands at `pos`, a log id: it has everything up to there. A `messages` frame covers (after, upto],
 * with redacted entries left out, and meets `pos` in one of three ways:
 *
 *     after <= seq(pos) < upto     applied: take the items above pos, then stand at upto_id
 *     upto <= seq(pos)             duplicate: show nothing, ack
 *     after > seq(pos)             gap: drop it, pull from pos
 *
 * `head` is the highest head seen. `chasing`: the device itself must pull until pos is there (after a gap, a notice, or where the
 * conversation is not pushed). One that is pushed and merely behind is not chased: the next batch follows the ack. An answer to a
 * pull that brings no progress ends the chase, so that a head that went away in a failover keeps nobody pulling for ever.
 *
 * Everything that moves `pos` is here. No clock, no I/O.
 */

import { seqOf } from "./frames.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {{verdict: "applied", items: Frame[], pos: string} | {verdict: "duplicate"} | {verdict: "gap"}} Verdict */

export class Position {
  /** @param {string} pos */
  constructor(pos) {
    this.pos = pos;
    this.head = 0;
    this.mode = "notify";
    this.chasing = false;
    /** @type {number | null} The `after` of the pull under way. */
    this.pulling = null;
    /** Told of, and not on the screen: what there is waits until it is. */
    this.rests = false;
  }

  get seq() {
    return seqOf(this.pos);
  }

  get behind() {
    return this.seq < this.head;
  }

  /**
   * It came onto the screen: the service gives what it lacks, or `atOnce` it must be pulled.
   * @param {boolean} atOnce
   */
  wake(atOnce) {
    this.rests = false;
    this.chasing = this.behind && atOnce;
  }

  /**
   * Judge one `messages` frame and move: a push, an inline notice, a redelivery or the answer to a pull.
   * @param {Frame} frame
   * @returns {Verdict}
   */
  onMessages(frame) {
    const answered = this.#answered(frame);
    this.head = Math.max(this.head, frame.head, frame.upto);
    const here = this.seq;
    if (frame.upto <= here) {
      if (answered) this.chasing = false;
      return { verdict: "duplicate" };
    }
    if (frame.after > here) {
      this.chasing = true;
      return { verdict: "gap" };
    }
    this.pos = frame.upto_id;
    this.chasing = this.behind && (this.chasing || answered || this.mode !== "push");
    this.rests = this.rests && this.behind;
    const items = frame.items.filter((/** @type {Frame} */ item) => here < item.seq && item.seq <= frame.upto);
    return { verdict: "applied", items, pos: frame.upto_id };
  }

  /**
   * There is no room for this frame: learn the head from it, and pull it later.
   * @param {Frame} frame
   */
  putOff(frame) {
    this.#answered(frame);
    this.head = Math.max(this.head, frame.head, frame.upto);
    this.chasing = this.behind;
  }

  /**
   * There is something up to `head`.
   * @param {number} head
   */
  onNotice(head) {
    this.head = Math.max(this.head, head);
    this.chasing = this.behind;
  }

  /**
   * Go on from `pos`. The head may be lower than one seen before: a failover lost what was above it.
   *
   * A `diverged` only ever goes back: it names the last id that both logs have, and a device that has not come so far yet would
   * skip what lies between.
   * @param {{pos: string, head: number, reason?: string}} reset
   */
  onReset({ pos, head, reason = "" }) {
    if (reason !== "diverged" || seqOf(pos) <= this.seq) this.pos = pos;
    this.head = Math.max(head, seqOf(pos));
    this.pulling = null;
    this.chasing = this.behind && this.mode !== "push";
  }

  /**
   * Take up a listed conversation at `row.start`. Says why that is not where the device stands, as in `reset`; null where it is.
   * @param {Frame} row
   * @returns {"trimmed" | "diverged" | null}
   */
  onRow(row) {
    const held = this.pos;
    this.mode = row.mode ?? "notify";
    this.onReset({ pos: row.start, head: row.head ?? 0 });
    if (row.start === held) return null;
    return seqOf(row.start) > seqOf(held) ? "trimmed" : "diverged";
  }

  /**
   * The row of a conversation that `hello` had no room to name, whose start lies ahead: stay, and fetch what lies between.
   * @param {Frame} row
   */
  onRowAhead(row) {
    this.mode = row.mode ?? "notify";
    this.onNotice(row.head ?? 0);
  }

  /** @param {Frame} frame */
  #answered(frame) {
    const answered = this.pulling !== null && frame.after === this.pulling;
    if (answered) this.pulling = null;
    return answered;
  }
}

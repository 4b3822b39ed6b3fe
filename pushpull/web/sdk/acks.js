/**
 * Cumulative acks: when to send which. Pure; `now` in seconds of any steady clock.
 *
 * An ack waits up to `delayS`, or until `maxMessages` are stored and not acked; a redelivered range is acked at once, since the
 * service evidently does not know. Bounded by the conversations: one seq each.
 */
export class Acks {
  delayS = 0.2;
  maxMessages = 32;
  /** @type {Map<string, number>} */
  #stored = new Map();
  /** @type {Map<string, number>} */
  #acked = new Map();
  /** @type {Set<string>} */
  #waiting = new Set();
  #messages = 0;
  /** @type {number | null} */
  #dueAt = null;

  /**
   * The device needs nothing up to `seq` of `cid` again.
   * @param {string} cid
   * @param {number} seq
   * @param {number} now
   */
  stored(cid, seq, now) {
    if (seq <= (this.#stored.get(cid) ?? 0)) return;
    this.#stored.set(cid, seq);
    this.#messages += 1;
    this.#wait(cid, this.#messages >= this.maxMessages ? now : now + this.delayS);
  }

  /**
   * The service sent something again: ack `cid` once more, by then.
   * @param {string} cid
   * @param {number} at
   */
  repeat(cid, at) {
    if ((this.#stored.get(cid) ?? 0) > 0) {
      this.#acked.delete(cid);
      this.#wait(cid, at);
    }
  }

  /**
   * A session opened: the device holds up to `posSeq`, the service believes `delivered`.
   * @param {string} cid
   * @param {{posSeq: number, delivered: number, now: number}} row
   */
  onRow(cid, { posSeq, delivered, now }) {
    this.#stored.set(cid, posSeq);
    this.#acked.set(cid, Math.min(delivered, posSeq));
    if (delivered < posSeq) this.#wait(cid, now);
    else this.#waiting.delete(cid);
  }

  /**
   * The conversation is gone, or starts over.
   * @param {string} cid
   */
  forget(cid) {
    this.#stored.delete(cid);
    this.#acked.delete(cid);
    this.#waiting.delete(cid);
  }

  /** When to call `take` next; null: nothing waits. */
  get dueAt() {
    return this.#waiting.size > 0 ? this.#dueAt : null;
  }

  /**
   * What to ack now; empty before the time. `atOnce`: the page goes to the background, or ends.
   * @param {number} now
   * @param {boolean} atOnce
   * @returns {[string, number][]}
   */
  take(now, atOnce) {
    if (this.#waiting.size === 0 || (!atOnce && this.#dueAt !== null && now < this.#dueAt)) return [];
    /** @type {[string, number][]} */
    const acks = [];
    for (const cid of this.#waiting) {
      const seq = this.#stored.get(cid) ?? 0;
      if (seq > (this.#acked.get(cid) ?? 0)) acks.push([cid, seq]);
    }
    for (const [cid, seq] of acks) this.#acked.set(cid, seq);
    this.#waiting.clear();
    this.#messages = 0;
    this.#dueAt = null;
    return acks;
  }

  /**
   * @param {string} cid
   * @param {number} until
   */
  #wait(cid, until) {
    this.#dueAt = this.#waiting.size > 0 && this.#dueAt !== null ? Math.min(until, this.#dueAt) : until;
    this.#waiting.add(cid);
  }
}

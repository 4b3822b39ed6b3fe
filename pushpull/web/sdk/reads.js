/**
 * Reads that the owner wants told: kept until the service is sure to have them, for a cut connection may swallow one.
 *
 * Pure. Bounded by the conversations: one seq each.
 */
export class Reads {
  /** @type {Map<string, number>} */
  #wanted = new Map();
  /** @type {Map<string, number>} Sent; a cut connection may have swallowed them. */
  #unconfirmed = new Map();

  /**
   * The user has read up to `seq`.
   * @param {string} cid
   * @param {number} seq
   */
  want(cid, seq) {
    this.#wanted.set(cid, Math.max(seq, this.#wanted.get(cid) ?? 0));
  }

  /**
   * Those to send now, of conversations that are known.
   * @param {(cid: string) => boolean} isKnown
   * @returns {[string, number][]}
   */
  take(isKnown) {
    const due = [...this.#wanted].filter(([cid]) => isKnown(cid));
    for (const [cid, seq] of due) {
      this.#wanted.delete(cid);
      this.#unconfirmed.set(cid, seq);
    }
    return due;
  }

  /**
   * A new session lists the conversation: what it has not heard of is wanted again.
   * @param {string} cid
   * @param {{read: number, head: number}} row
   */
  onRow(cid, { read, head }) {
    const seq = this.#unconfirmed.get(cid) ?? 0;
    this.#unconfirmed.delete(cid);
    if (read < seq && seq <= head) this.want(cid, seq);
  }

  /** @param {string} cid was deleted: what was read there is gone */
  forget(cid) {
    this.#wanted.delete(cid);
    this.#unconfirmed.delete(cid);
  }

  /**
   * The service tells how far the user has read.
   * @param {string} cid
   * @param {number} read
   */
  onCursors(cid, read) {
    if (read >= (this.#unconfirmed.get(cid) ?? 0)) this.#unconfirmed.delete(cid);
  }
}

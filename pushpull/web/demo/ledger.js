/**
 * What the page was given, checked: is one missing, given twice, or out of its order?
 *
 * Seqs of a conversation are dense, so what is next is known. (The demo redacts nothing; a redacted message would leave a hole.)
 * Pure. Holds one number for each conversation.
 */

export class Ledger {
  checked = 0;
  missing = 0;
  doubled = 0;
  /** @type {Map<string, number>} */
  #last = new Map();

  /** @param {{cid: string, seq: number}} message */
  take({ cid, seq }) {
    const last = this.#last.get(cid);
    this.checked += 1;
    if (last !== undefined && seq <= last) {
      this.doubled += 1;
      return;
    }
    if (last !== undefined) this.missing += seq - last - 1;
    this.#last.set(cid, seq);
  }

  /**
   * The service says where the conversation goes on.
   * @param {{cid: string, pos: string}} reset
   */
  reset({ cid, pos }) {
    this.#last.set(cid, Number.parseInt(pos, 10));
  }

  get clean() {
    return this.missing === 0 && this.doubled === 0;
  }
}

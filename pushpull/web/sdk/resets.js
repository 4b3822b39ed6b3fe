/**
 * Logs that are not what the device knew: they lost their tail in a failover, or their oldest part to retention.
 *
 * Theory of operation. The service says so in a `reset`, or by a row that starts elsewhere than the device stands; both may say the
 * same one, and the owner is told once. Own messages that the log lost with its tail go out again. They are known by an epoch that
 * moved, too, where the device held nothing of what was lost, and yet had sent some.
 *
 * Pure. Bounded by the conversations, one epoch each; `returned` by what the outbox keeps, and emptied by whoever drives this.
 */

import { seqOf } from "./frames.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./conversations.js").Told} Told */

/**
 * @typedef {object} Parts
 * @property {import("./conversations.js").Conversations} held
 * @property {import("./inbox.js").Inbox} inbox
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./acks.js").Acks} acks
 * @property {import("./pulls.js").Pulls} pulls
 */

export class Resets {
  /** @type {import("./outbox.js").Outgoing[]} Lost by a failover and waiting again: whoever keeps the outbox keeps them, too. */
  returned = [];
  #parts;
  /** @type {Map<string, string>} As last told, over sessions. */
  #epochs = new Map();

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {Frame} frame */
  onReset(frame) {
    const { held, acks, pulls } = this.#parts;
    const { cid, reason, pos } = frame;
    const head = frame.head ?? 0;
    const position = held.positions.get(cid);
    const told = { reason, pos, epoch: frame.epoch ?? "" };
    if (position === undefined) {
      held.told.set(cid, told); // ahead of its row: the row will refer to it
    } else if (reason === "trimmed" && seqOf(pos) <= position.seq) {
      // What is gone lies below: frames that were on their way have carried the device past it.
      position.head = Math.max(position.head, head);
      held.onHead(cid, position.head, frame.floor ?? 1);
      pulls.want(cid);
    } else if (!isSame(held.told.get(cid), told)) {
      this.#epochs.set(cid, told.epoch);
      position.onReset({ pos, head, reason });
      pulls.heard(cid, true); // a pull from before the reset is no use any more
      acks.forget(cid);
      this.#reset(cid, told, frame.floor ?? 1);
      pulls.want(cid);
    }
  }

  /**
   * A row states the epoch. Where it moved, the log lost its tail while we were away.
   * @param {Frame} row
   */
  onRow(row) {
    const { cid, start } = row;
    const epoch = row.epoch ?? "";
    if ((this.#epochs.get(cid) ?? epoch) !== epoch) this.#return(cid, seqOf(start));
    this.#epochs.set(cid, epoch);
  }

  /**
   * A row starts elsewhere than the device stands, for this reason.
   * @param {Frame} row
   * @param {string} reason
   */
  onStart(row, reason) {
    const { cid, start } = row;
    const told = this.#parts.held.told.get(cid);
    this.#reset(cid, told !== undefined && told.pos === start ? told : { reason, pos: start, epoch: row.epoch ?? "" });
  }

  /** @param {string} cid the user is no member any more, or it is gone */
  forget(cid) {
    this.#epochs.delete(cid);
  }

  /**
   * @param {string} cid
   * @param {Told} told
   * @param {number} [floor] else as it was
   */
  #reset(cid, told, floor) {
    const reset = this.#parts.held.onReset(cid, told, floor);
    if (reset === null) return;
    this.#parts.inbox.putReset(reset);
    if (told.reason !== "trimmed") this.#return(cid, seqOf(told.pos), told.reason === "epoch");
  }

  /**
   * @param {string} cid
   * @param {number} seq
   * @param {boolean} [everything]
   */
  #return(cid, seq, everything = false) {
    this.returned.push(...this.#parts.outbox.returnAbove(cid, seq, everything));
  }
}

/**
 * @param {Told | undefined} one
 * @param {Told} other
 */
const isSame = (one, other) => one?.reason === other.reason && one.pos === other.pos && one.epoch === other.epoch;

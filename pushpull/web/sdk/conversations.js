/** The conversations a device holds: where it stands in each (for the rule) and what its owner sees of each. */

import { Position } from "./rule.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {{reason: string, pos: string, epoch: string}} Told a reset, as far as it tells it from another */

/**
 * The unread badge of one conversation, kept exact between the frames that state it.
 *
 * Rows, notices and cursors state a `count` of messages that are not quiet; unread moves with it. A pushed message states none, so
 * it is counted here, from the last (head, count) that was stated together. A count stated meanwhile, computed at a head that
 * this device has not been given yet, is then caught up with and not added to.
 */
export class Badge {
  /** @param {{unread: number, count: number, head: number}} stated */
  constructor({ unread, count, head }) {
    this.statedUnread = unread;
    this.statedCount = this.count = this.uptoCount = count;
    this.upto = head;
  }

  get unread() {
    return Math.max(0, this.statedUnread + this.count - this.statedCount);
  }

  /** @param {Frame} frame `cursors`: computed at its count; what was counted beyond stays counted. */
  onCursors({ unread, count }) {
    this.statedUnread = unread;
    this.statedCount = count;
    this.count = Math.max(this.count, count);
  }

  /**
   * @param {number} head
   * @param {number} count
   */
  onNotice(head, count) {
    if (head < this.upto) return;
    this.upto = head;
    this.uptoCount = count;
    this.count = Math.max(this.count, count);
  }

  /** @param {Frame} item a message, in order */
  onMessage({ seq, quiet }) {
    if (seq <= this.upto) return;
    this.upto = seq;
    if (quiet) return;
    this.uptoCount += 1;
    this.count = Math.max(this.count, this.uptoCount);
  }
}

/** All that is kept per conversation. Bounded by the conversations of the user, which the service bounds. */
export class Conversations {
  /** @type {Map<string, any>} What the owner sees. */
  seen = new Map();
  /** @type {Map<string, Position>} Those of this session. */
  positions = new Map();
  /** @type {Map<string, Told>} The last reset: a row and a frame say the same one. */
  told = new Map();
  /** @type {Map<string, Badge>} */
  #badges = new Map();

  /** The session is over: positions come again with the next one's rows. */
  unlist() {
    this.positions.clear();
    this.told.clear();
  }

  /** @param {string} cid the user is no member any more, or it is gone */
  forget(cid) {
    for (const known of [this.seen, this.positions, this.told, this.#badges]) known.delete(cid);
  }

  /**
   * Take over what a row says; the place of the device stays.
   * @param {Frame} row
   */
  update(row) {
    const position = this.positions.get(row.cid);
    if (position === undefined) return;
    const head = row.head ?? 0;
    position.mode = row.mode ?? "notify"; // when in doubt the device pulls
    if (position.mode !== "push") position.onNotice(head);
    const unread = row.unread ?? 0;
    this.#badges.set(row.cid, new Badge({ unread, count: row.count ?? 0, head }));
    this.seen.set(row.cid, {
      cid: row.cid,
      head,
      floor: row.floor ?? 1,
      delivered: row.delivered ?? 0,
      read: row.read ?? 0,
      joined: row.joined ?? 0,
      unread,
      mentions: row.mentions ?? 0,
      mode: position.mode,
      notify: row.notify ?? "all",
      muteUntil: row.mute_until ?? null,
      role: row.role ?? "member",
      data: row.data ?? null,
    });
  }

  /**
   * @param {Frame} row
   * @param {Position} position
   */
  adopt(row, position) {
    this.positions.set(row.cid, position);
    this.update(row);
  }

  /**
   * New messages were received.
   * @param {string} cid
   * @param {Frame[]} items
   */
  onItems(cid, items) {
    const badge = this.#badges.get(cid);
    if (badge === undefined) return;
    for (const item of items) badge.onMessage(item);
    this.seen.get(cid).unread = badge.unread;
  }

  /**
   * A frame told the head and the floor; older frames may come late.
   * @param {string} cid
   * @param {number} head
   * @param {number} floor
   */
  onHead(cid, head, floor) {
    const conversation = this.seen.get(cid);
    conversation.head = Math.max(conversation.head, head);
    conversation.floor = Math.max(conversation.floor, floor);
  }

  /** @param {Frame} frame */
  onNotice(frame) {
    const conversation = this.seen.get(frame.cid);
    conversation.head = Math.max(conversation.head, frame.head);
    if (frame.mentioned) conversation.mentions += 1;
    const badge = this.#badges.get(frame.cid);
    if (badge !== undefined && typeof frame.count === "number") {
      badge.onNotice(frame.head, frame.count);
      conversation.unread = badge.unread;
    }
  }

  /**
   * The position was reset; without a `floor` that is as it was. Returns what the owner is told; null for one that is not held.
   * @param {string} cid
   * @param {Told} told
   * @param {number} [floor]
   */
  onReset(cid, told, floor) {
    const position = this.positions.get(cid);
    const conversation = this.seen.get(cid);
    if (position === undefined) return null;
    conversation.head = position.head;
    conversation.floor = floor ?? conversation.floor;
    this.told.set(cid, told);
    const { reason, epoch } = told;
    return { type: "reset", cid, reason, pos: position.pos, epoch, head: position.head, floor: conversation.floor };
  }

  /**
   * The user's own cursors moved; false for a conversation that is not held.
   * @param {Frame} frame
   */
  onCursors(frame) {
    const conversation = this.seen.get(frame.cid);
    const badge = this.#badges.get(frame.cid);
    if (conversation === undefined || badge === undefined) return false;
    badge.onCursors(frame);
    conversation.delivered = frame.delivered;
    conversation.read = frame.read;
    conversation.unread = badge.unread;
    if (conversation.unread === 0) conversation.mentions = 0;
    return true;
  }
}

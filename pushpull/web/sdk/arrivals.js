/**
 * What arrives in the conversations that the device holds: messages, notices of messages, cursors, and what is said in passing.
 *
 * Pure: `now` in steady seconds. Nothing is kept here: what it leads to is the inbox's, which is bounded, and what it says of a
 * conversation is in `held`.
 */

import { messageOf } from "./events.js";

/** @typedef {import("./frames.js").Frame} Frame */

/**
 * @typedef {object} Parts
 * @property {import("./inbox.js").Inbox} inbox
 * @property {import("./conversations.js").Conversations} held
 * @property {import("./acks.js").Acks} acks
 * @property {import("./pulls.js").Pulls} pulls
 * @property {import("./reads.js").Reads} reads
 * @property {import("./screen.js").Screen} screen
 */

export class Arrivals {
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onMessages(frame, now) {
    const { inbox, held, acks, pulls } = this.#parts;
    const { cid } = frame;
    const position = held.positions.get(cid);
    if (position === undefined) return;
    pulls.heard(cid, frame.after === position.pulling);
    if (frame.redelivery) acks.repeat(cid, now);
    if (inbox.full) position.putOff(frame);
    else this.#apply(cid, position.onMessages(frame), now);
    held.onHead(cid, position.head, frame.floor ?? 1);
    pulls.want(cid);
  }

  /**
   * @param {string} cid
   * @param {import("./rule.js").Verdict} judged
   * @param {number} now
   */
  #apply(cid, judged, now) {
    const { inbox, held, acks } = this.#parts;
    if (judged.verdict === "applied") {
      inbox.put(
        cid,
        judged.items.map((item) => messageOf(cid, item)),
        judged.pos,
      );
      held.onItems(cid, judged.items);
    } else if (judged.verdict === "duplicate") {
      acks.repeat(cid, now + acks.delayS);
    }
  }

  /** @param {Frame} frame */
  onNotice(frame) {
    const { inbox, held, pulls, screen } = this.#parts;
    const { cid, head } = frame;
    const position = held.positions.get(cid);
    if (position === undefined) return;
    position.onNotice(head);
    held.onNotice(frame);
    if (screen.hides(cid) && position.behind) {
      position.rests = true;
      const conversation = held.seen.get(cid);
      const mentioned = frame.mentioned === true;
      inbox.putEvent({ type: "notice", cid, head: conversation.head, unread: conversation.unread, mentioned });
    }
    pulls.want(cid);
  }

  /** @param {Frame} frame */
  onCursors(frame) {
    const { cid, delivered, read, unread } = frame;
    this.#parts.reads.onCursors(cid, read);
    if (this.#parts.held.onCursors(frame)) this.#parts.inbox.putEvent({ type: "cursors", cid, delivered, read, unread });
  }

  /** @param {Frame} frame `receipt` or `signal`: the room that is left is for messages */
  onPassing(frame) {
    const { inbox } = this.#parts;
    const { type, cid } = frame;
    if (!inbox.roomy) return;
    if (type === "signal") inbox.putEvent({ type, cid, from: frame.from ?? null, body: frame.body ?? null });
    else inbox.putEvent({ type, cid, user: frame.user, delivered: frame.delivered ?? null, read: frame.read ?? null });
  }
}

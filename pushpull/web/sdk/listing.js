/**
 * The list of the user's conversations, which each session states anew, and where the device takes each of them up.
 *
 * Theory of operation. A hello names the positions that it has room for. Rows come in pages, or alone where the user joins later. A
 * row starts where the device stands, or elsewhere, which is a reset; but one that the hello left out, and that other devices have
 * come further in, is gone on with from where this device stands. What the last page leaves unlisted was left meanwhile.
 *
 * Pure: `now` in steady seconds. Bounded by the conversations of the user, which the service bounds.
 */

import { PushpullError } from "./errors.js";
import { seqOf } from "./frames.js";
import { Position } from "./rule.js";

/** @typedef {import("./frames.js").Frame} Frame */

/**
 * @typedef {object} Parts
 * @property {import("./inbox.js").Inbox} inbox
 * @property {import("./conversations.js").Conversations} held
 * @property {import("./acks.js").Acks} acks
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./pulls.js").Pulls} pulls
 * @property {import("./reads.js").Reads} reads
 * @property {import("./resets.js").Resets} resets
 * @property {import("./screen.js").Screen} screen
 * @property {Map<string, string | null>} moved positions for the owner to keep; null: left
 */

export class Listing {
  /** This session has listed every conversation; before that it knows only some. */
  complete = false;
  #parts;
  /** @type {Set<string>} */
  #listed = new Set();
  /** @type {Set<string>} Named by this session's hello. */
  #named = new Set();

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * Whether what the owner says of it may be told: before the first page the service only gathers what we say, and not much of it; and
   * the word that the conversation it was said for was deleted comes right ahead of the row of another of its name.
   * @param {string} cid
   */
  knows(cid) {
    return this.complete || this.#listed.has(cid);
  }

  /**
   * What a hello says of where the device stands: the positions of as many conversations as `roomBytes` hold, those that moved
   * last before others. One left out begins at the user's delivered cursor, and what may lie between is pulled.
   * @param {number} roomBytes
   */
  hello(roomBytes) {
    this.#named.clear();
    /** @type {Record<string, string>} */
    const positions = Object.create(null);
    let bytes = 0;
    for (const [cid, pos] of [...this.#parts.inbox.handed].reverse()) {
      bytes += cid.length + pos.length + 6;
      if (bytes > roomBytes) break;
      positions[cid] = pos;
      this.#named.add(cid);
    }
    return { positions };
  }

  /** A session is open: it has listed nothing yet. */
  opened() {
    this.#listed.clear();
    this.complete = false;
  }

  /**
   * A page of the list; without a `next` it is the last.
   * @param {Frame} frame
   * @param {number} now
   */
  onSync(frame, now) {
    for (const row of frame.conversations) this.#adopt(row, now);
    if (frame.next != null) return;
    this.complete = true;
    const { inbox, held } = this.#parts;
    for (const cid of new Set([...inbox.handed.keys(), ...held.positions.keys()])) {
      if (!this.#listed.has(cid)) this.#leave(cid, "left");
    }
  }

  /**
   * The user joined or left it, or it is another than it was.
   * @param {Frame} frame
   * @param {number} now
   */
  onChange({ cid, change, row }, now) {
    const { inbox, held, pulls } = this.#parts;
    if (change === "left" || change === "deleted") {
      this.#leave(cid, change);
      return;
    }
    if (row != null && (change === "joined" || !held.positions.has(cid))) {
      this.#adopt(row, now);
    } else if (row != null) {
      held.update(row);
      pulls.want(cid);
    }
    inbox.putEvent({ type: "conversation", cid, change });
  }

  /**
   * @param {Frame} row
   * @param {number} now
   */
  #adopt(row, now) {
    const { inbox, pulls, resets, moved } = this.#parts;
    const { cid, start } = row;
    this.#listed.add(cid);
    if (!inbox.handed.has(cid)) {
      inbox.begin(cid, start);
      moved.set(cid, start);
    } else if (!this.#named.has(cid) && seqOf(start) > seqOf(inbox.handed.get(cid) ?? start)) {
      this.#adoptAhead(row, now);
      return;
    }
    const position = this.#hold(row);
    const reason = position.onRow(row);
    this.#place(row, position, Math.min(seqOf(inbox.stored.get(cid) ?? start), seqOf(start)), now);
    if (reason !== null) resets.onStart(row, reason);
    pulls.want(cid);
  }

  /**
   * The hello had no room for this one, and other devices have come further: stay, and pull what lies between.
   * @param {Frame} row
   * @param {number} now
   */
  #adoptAhead(row, now) {
    const position = this.#hold(row);
    position.onRowAhead(row);
    this.#place(row, position, seqOf(this.#parts.inbox.stored.get(row.cid) ?? row.start), now);
    this.#parts.pulls.want(row.cid);
  }

  /** @param {Frame} row */
  #hold(row) {
    const position = new Position(this.#parts.inbox.handed.get(row.cid) ?? row.start);
    this.#parts.held.adopt(row, position);
    return position;
  }

  /**
   * @param {Frame} row
   * @param {Position} position
   * @param {number} posSeq
   * @param {number} now
   */
  #place(row, position, posSeq, now) {
    const { acks, reads, resets, screen } = this.#parts;
    const { cid } = row;
    position.rests = position.mode !== "push" && screen.hides(cid);
    resets.onRow(row);
    reads.onRow(cid, { read: row.read ?? 0, head: row.head ?? 0 });
    acks.onRow(cid, { posSeq, delivered: row.delivered ?? 0, now });
  }

  /**
   * @param {string} cid
   * @param {string} change
   */
  #leave(cid, change) {
    const { inbox, held, acks, outbox, pulls, reads, resets, moved } = this.#parts;
    for (const part of [inbox, held, acks, pulls, resets]) part.forget(cid);
    moved.set(cid, null);
    if (change === "deleted") {
      reads.forget(cid);
      outbox.onDeleted(cid, new PushpullError("no_such_conversation", `conversation ${cid} was deleted`));
    }
    inbox.putEvent({ type: "conversation", cid, change });
  }
}

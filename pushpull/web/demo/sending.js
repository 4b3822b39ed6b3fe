/** What this page sends, and what becomes of it: it waits, it is stored, or it is refused and can be tried again. */

import { textOf } from "./words.js";

/** @typedef {import("./room.js").Room} Room */

export class Sending {
  #chat;
  #roomOf;
  #changed;

  /**
   * @param {any} chat
   * @param {{roomOf: (cid: string) => Room, changed: () => void}} owner
   */
  constructor(chat, { roomOf, changed }) {
    this.#chat = chat;
    this.#roomOf = roomOf;
    this.#changed = changed;
    chat.on("sent", (/** @type {any} */ { cid, cmid, id }) => this.#onSent(cid, cmid, Number.parseInt(id, 10)));
    chat.on("unsent", (/** @type {any} */ { cid, cmid, error }) => this.#onRefused(cid, cmid, error));
  }

  /**
   * @param {Room} room
   * @param {string} text
   */
  send(room, text) {
    const cmid = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    room.outgoing.set(cmid, { cmid, text, state: "sending", seq: 0, reason: "" });
    this.#chat.send(room.cid, { text }, { cmid }).catch((/** @type {any} */ error) => this.#onRefused(room.cid, cmid, error));
    this.#changed();
  }

  /**
   * What was refused: `again`, or gone.
   * @param {Room} room
   * @param {string} action
   * @param {string} cmid
   */
  act(room, action, cmid) {
    const outgoing = room.outgoing.get(cmid);
    if (outgoing === undefined) return;
    room.outgoing.delete(cmid);
    if (action === "again") this.send(room, outgoing.text);
    else this.#changed();
  }

  /** What a page before this one left waiting. */
  restore() {
    for (const { cid, cmid, body } of this.#chat.outbox) {
      this.#roomOf(cid).outgoing.set(cmid, { cmid, text: textOf({ body }), state: "sending", seq: 0, reason: "" });
    }
  }

  /**
   * The service has it. It stays below the log until it comes as everybody's messages do.
   * @param {string} cid
   * @param {string} cmid
   * @param {number} seq
   */
  #onSent(cid, cmid, seq) {
    const { outgoing, timeline } = this.#roomOf(cid);
    if (timeline.loaded && seq <= timeline.last) outgoing.delete(cmid);
    const one = outgoing.get(cmid);
    if (one !== undefined) Object.assign(one, { state: "sent", seq });
    this.#changed();
  }

  /**
   * @param {string} cid
   * @param {string} cmid
   * @param {{message: string}} error
   */
  #onRefused(cid, cmid, error) {
    const one = this.#roomOf(cid).outgoing.get(cmid);
    if (one !== undefined) Object.assign(one, { state: "failed", reason: error.message });
    this.#changed();
  }
}

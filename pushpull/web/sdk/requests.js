/** Frames that are answered by `rid`: asked again in the next session where the line was lost meanwhile. Bounded by those who wait. */

import { errorOf } from "./events.js";

/** @typedef {import("./frames.js").Frame} Frame */

export class Requests {
  #count = 0;
  /** @type {Map<string, {frame: Frame, asked: boolean, resolve: (answer: Frame) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  /** @type {Error | null} */
  #ended = null;

  get length() {
    return this.#waiting.size;
  }

  /**
   * The answer; rejects with the error that the service answers with, or that the chat ended with.
   * @param {Frame} frame
   * @returns {Promise<Frame>}
   */
  ask(frame) {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    this.#count += 1;
    const rid = `ask-${this.#count}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(rid, { frame: { ...frame, rid }, asked: false, resolve, reject });
    });
  }

  /** What is to be sent now. */
  outgoing() {
    const due = [...this.#waiting.values()].filter((request) => !request.asked);
    for (const request of due) request.asked = true;
    return due.map((request) => request.frame);
  }

  /**
   * Hand the frame to whoever asked for it; false where nobody did.
   * @param {Frame} frame
   */
  answer(frame) {
    const request = this.#waiting.get(frame.rid);
    if (request === undefined) return false;
    this.#waiting.delete(frame.rid);
    if (frame.type === "error") request.reject(errorOf(frame));
    else request.resolve(frame);
    return true;
  }

  /** The session is over: ask again in the next one. */
  lost() {
    for (const request of this.#waiting.values()) request.asked = false;
  }

  /** @param {Error} error there is no next one */
  end(error) {
    this.#ended = error;
    for (const request of this.#waiting.values()) request.reject(error);
    this.#waiting.clear();
  }
}

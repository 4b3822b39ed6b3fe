/**
 * What a screen reader says of messages that come in: one by one while they are few, else how many, and never more often than
 * every few seconds. The log itself is no live region: it shows other messages whenever somebody scrolls.
 */

import { byId, say } from "./elements.js";
import { many } from "./words.js";

const SOON_MS = 400;
const AGAIN_MS = 4000;
const CROWD_MS = 15_000;

export class Speaker {
  #region = byId("announcer");
  /** @type {string[]} */
  #waiting = [];
  #count = 0;
  #spokeAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {{isHot: boolean, title: string}} room
   * @param {string} name
   * @param {string} text
   */
  heard(room, name, text) {
    this.#count += 1;
    if (this.#waiting.length < 2) this.#waiting.push(`${name}: ${text}`);
    const pauseMs = room.isHot ? CROWD_MS : AGAIN_MS;
    this.#timer ??= setTimeout(() => this.#speak(), Math.max(SOON_MS, this.#spokeAt + pauseMs - performance.now()));
  }

  /** Another conversation is open. */
  quiet() {
    this.#forget();
    this.#spokeAt = -Infinity;
    say(this.#region, "");
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.#count = 0;
  }

  #speak() {
    const words = this.#count > this.#waiting.length ? many(this.#count, "new message") : this.#waiting.join(" ");
    this.#forget();
    this.#spokeAt = performance.now();
    say(this.#region, words);
  }
}

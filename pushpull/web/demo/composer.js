/** Where one writes: Enter sends, Shift with Enter breaks the line, and the others hear that somebody types. */

import { byId } from "./elements.js";

const SAY_AGAIN_MS = 2500;
const TALLEST_PX = 140;

export class Composer {
  #form = byId("composer");
  #text = byId("text");
  #saidAt = -Infinity;
  #owner;

  /** @param {{send: (text: string) => void, typing: () => void, draft: (text: string) => void}} owner */
  constructor(owner) {
    this.#owner = owner;
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => this.#onInput());
  }

  /** @param {string} draft what was begun in the conversation that is open now */
  show(draft) {
    this.#text.value = draft;
    this.#saidAt = -Infinity;
    this.#grow();
  }

  focus() {
    this.#text.focus({ preventScroll: true });
  }

  #submit() {
    const text = this.#text.value.trim();
    if (text === "") return;
    this.show("");
    this.#owner.draft("");
    this.#owner.send(text);
    this.focus();
  }

  #onInput() {
    this.#grow();
    this.#owner.draft(this.#text.value);
    if (this.#text.value === "" || performance.now() - this.#saidAt < SAY_AGAIN_MS) return;
    this.#saidAt = performance.now();
    this.#owner.typing();
  }

  #grow() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(TALLEST_PX, this.#text.scrollHeight)}px`;
  }
}

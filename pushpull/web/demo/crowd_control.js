/** How loud the crowd of the hot group is. Says to the service that somebody watches, or the crowd falls silent. */

import { watchCrowd } from "./cast.js";
import { byId, say } from "./elements.js";

const RATES = [0, 1, 2, 5, 10, 20, 50, 100];
const AGAIN_MS = 5000;
const SETTLE_MS = 150;

export class CrowdControl {
  #bar = byId("crowd");
  #range = byId("rate");
  #words = byId("rate-words");
  #user;
  /** Messages a second, as far as this page knows. */
  #rate = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;

  /** @param {string} user who watches */
  constructor(user) {
    this.#user = user;
    this.#range.addEventListener("input", () => {
      this.#show(RATES[Number(this.#range.value)]);
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#tell(this.#rate), SETTLE_MS);
    });
    setInterval(() => this.#tell(), AGAIN_MS);
    void this.#tell();
  }

  /** @param {boolean} shown */
  show(shown) {
    this.#bar.hidden = !shown;
  }

  /**
   * Somebody watches; with a rate, that is what is to be said. Another page may have asked for something else meanwhile.
   * @param {number} [rate]
   */
  async #tell(rate) {
    try {
      const inForce = await watchCrowd(this.#user, rate);
      if (document.activeElement !== this.#range || rate !== undefined) this.#show(inForce);
    } catch {
      say(this.#words, "the service does not answer");
    }
  }

  /** @param {number} rate */
  #show(rate) {
    this.#rate = rate;
    const nearest = RATES.findLastIndex((one) => one <= rate);
    this.#range.value = String(nearest);
    const words = rate === 0 ? "silent" : `${rate} a second`;
    this.#range.setAttribute("aria-valuetext", rate === 0 ? "silent" : `${rate} messages a second`);
    say(this.#words, words);
  }
}

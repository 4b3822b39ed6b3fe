/** A fresh token for a session before its old one expires, as long as there is a function to ask. */

import { steady } from "./link.js";
import { claimsOf, REFRESH_SHARE } from "./tokens.js";

/** Seconds: after the token function failed, and the soonest a token is renewed. */
const RETRY_TOKEN_S = 5;
const RENEW_FIRST_S = 1;

export class Renewal {
  #tokens;
  #say;
  /** In steady seconds; Infinity: never, or it is under way. */
  #due = Infinity;

  /**
   * @param {import("./tokens.js").TokenSource} tokens
   * @param {import("./frames.js").Frame} welcome of the session
   * @param {(token: string) => Promise<void>} say it to the service
   */
  constructor(tokens, welcome, say) {
    this.#tokens = tokens;
    this.#say = say;
    const expiresAtMs = welcome.expires_at;
    if (!tokens.renewable || typeof expiresAtMs !== "number") return;
    this.#renewIn((expiresAtMs - (welcome.time ?? Date.now())) / 1000);
  }

  /** Renew it where it is time; to be called every second or so. */
  async look() {
    if (steady() < this.#due) return;
    this.#due = Infinity;
    try {
      const token = await this.#tokens.fresh();
      await this.#say(token);
      const { exp } = claimsOf(token);
      if (exp !== undefined) this.#renewIn(exp - Date.now() / 1000);
    } catch {
      this.#due = steady() + RETRY_TOKEN_S; // until then the old one may still do; 4401 is the end of that
    }
  }

  /** @param {number} leftS until it expires */
  #renewIn(leftS) {
    this.#due = steady() + Math.max(RENEW_FIRST_S, leftS * REFRESH_SHARE);
  }
}

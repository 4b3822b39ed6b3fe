/** Where a device gets its token, and until when one is good. Nothing is verified here: that is for the service. */

import { closedHere, PushpullError } from "./errors.js";
import { sleep, steady } from "./link.js";
import { Backoff } from "./timing.js";

/** A token is replaced after this share of the time it had left when it was taken up. */
const REFRESH_SHARE = 0.8;
/** Seconds: after the token function failed, and the soonest a token is renewed. */
const RETRY_TOKEN_S = 5;
const RENEW_FIRST_S = 1;

export class TokenSource {
  /** @type {string | null} */
  #current;
  #ask;

  /**
   * A token, or a function that gives a fresh one each time. Only with a function can a session outlive its token.
   * @param {{token?: string, getToken?: () => string | Promise<string>}} given
   */
  constructor({ token, getToken }) {
    this.#current = token ?? null;
    this.#ask = getToken ?? null;
  }

  get renewable() {
    return this.#ask !== null;
  }

  /** The token in use; the first call of the function happens here. */
  async current() {
    return this.#current ?? (await this.fresh());
  }

  /**
   * The same, also where the way to it is not there yet: a page that starts without a network waits for one.
   * @param {AbortSignal} closing
   * @returns {Promise<string>}
   * @throws {PushpullError} `unauthenticated` where there is none, `connection_ended` once the chat is closed
   */
  first(closing) {
    return new Promise((resolve, reject) => {
      closing.addEventListener("abort", () => reject(closedHere()));
      this.#patiently(closing).then(resolve, reject);
    });
  }

  /** @param {AbortSignal} closing */
  async #patiently(closing) {
    const backoff = new Backoff();
    while (!closing.aborted) {
      try {
        return await this.current();
      } catch (error) {
        if (/** @type {any} */ (error).code === "unauthenticated") throw error;
        await sleep(backoff.nextDelayS(Math.random()) * 1000);
      }
    }
    throw closedHere();
  }

  /**
   * A token that is not the one in use. What the function throws passes.
   * @throws {PushpullError} `unauthenticated` where there is none
   */
  async fresh() {
    const old = this.#current;
    if (this.#ask !== null) this.#current = await this.#ask();
    if (!this.#current || this.#current === old) {
      throw new PushpullError("unauthenticated", "the token was refused and there is no new one", { reason: "token_expired" });
    }
    return this.#current;
  }
}

/** A fresh token for a session before its old one expires, as long as there is a function to ask. */
export class Renewal {
  #tokens;
  #say;
  /** In steady seconds; Infinity: never, or it is under way. */
  #due = Infinity;

  /**
   * @param {TokenSource} tokens
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

/**
 * What a JWT claims; nothing where it is none.
 * @param {string} token
 * @returns {{sub?: string, exp?: number}}
 */
export function claimsOf(token) {
  try {
    const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}

/** Where a device gets its token, and until when one is good. Nothing is verified here: that is for the service. */

import { closedHere, PushpullError } from "./errors.js";
import { sleep } from "./link.js";
import { Backoff } from "./timing.js";

/** A token is replaced after this share of the time it had left when it was taken up. */
export const REFRESH_SHARE = 0.8;

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

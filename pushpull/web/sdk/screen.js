/**
 * What is on the device's screen, as its owner says, and what is said in passing.
 *
 * Until the owner says something, everything counts as seen: the device comes for whatever it is told of. From then on it comes only
 * for what is shown; of the rest it knows how much there is.
 */

export const FEATURE = "focus";

export class Screen {
  /** This session's node makes something of it; one of a release before does not. */
  known = false;
  #said = false;
  #unsent = false;
  /** @type {string | null} */
  #shows = null;
  #active = true;

  /**
   * `cid` is on the screen from now on, null: no conversation is; not `active`: nobody looks at it.
   * @param {string | null} cid
   * @param {boolean} active
   */
  show(cid, active) {
    this.#said = this.#unsent = true;
    this.#shows = cid;
    this.#active = active;
  }

  /** @param {string} cid whether the owner is known not to see it */
  hides(cid) {
    return this.#said && !(this.#active && cid === this.#shows);
  }

  /** What a hello says of it. */
  hello() {
    this.#unsent = false;
    return this.#said ? { focus: this.#shows, active: this.#active } : {};
  }

  /** @param {unknown} features of the session that opened */
  opened(features) {
    this.known = Array.isArray(features) && features.includes(FEATURE);
  }

  /** The frame to send now, where the last hello said something else. */
  take() {
    if (!(this.#unsent && this.known)) return [];
    this.#unsent = false;
    return [{ type: "focus", cid: this.#shows, active: this.#active }];
  }
}

/** At most so many wait, of which the oldest is overtaken by what follows. */
const WAITING_MAX = 16;
/** Of every signal: one that was refused is not said again, so it need not be known which it was. */
export const SIGNAL_RID = "signal";

/** Said now or never, so nothing here outlives a session. */
export class Signals {
  /** @type {import("./frames.js").Frame[]} */
  #waiting = [];

  /**
   * @param {string} cid
   * @param {import("./frames.js").Raw} body
   */
  say(cid, body) {
    this.#waiting.push({ type: "signal", cid, body, rid: SIGNAL_RID });
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }

  take() {
    return this.#waiting.splice(0);
  }

  /** The session is over. */
  clear() {
    this.#waiting.length = 0;
  }
}

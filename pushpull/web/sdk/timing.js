/** When and whether to connect again, where, how fast to talk, and when to ask whether the other side lives. Pure: times are in
 *  seconds of any steady clock, chance comes in as a number in [0, 1). */

/** Seconds: the first ceiling of the wait, and the longest: half of it on average, so that a crowd that lost a node spreads. */
const FIRST_S = 0.5;
const LONGEST_S = 10;
/** Seconds. A connection that lived so long was a good one: the next failure starts from the beginning. */
export const STEADY_S = 5;

const NEVER = new Set([4400, 4403, 4409, 4413, 1009]);

/**
 * What the close code asks of a client. Unknown codes reconnect.
 * @param {number} code
 * @returns {"reconnect" | "new token" | "stop"}
 */
export function afterClose(code) {
  if (code === 4401) return "new token";
  return NEVER.has(code) || (code >= 4500 && code <= 4599) ? "stop" : "reconnect";
}

/** Full jitter: a uniform share of a ceiling that doubles with each failure in a row. */
export class Backoff {
  failures = 0;
  #longestS;

  /** @param {number} [longestS] */
  constructor(longestS = LONGEST_S) {
    this.#longestS = longestS;
  }

  /** @param {number} chance */
  nextDelayS(chance) {
    const ceiling = Math.min(this.#longestS, FIRST_S * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    return ceiling * chance;
  }

  /** @param {number} seconds a connection was open for so long */
  lived(seconds) {
    if (seconds >= STEADY_S) this.failures = 0;
  }
}

/**
 * When to leave a node that goes away: at a moment of this client's own within the window that `drain` names.
 * @param {{after_ms?: number, jitter_ms?: number}} drain
 * @param {number} chance
 */
export const drainDelayS = ({ after_ms = 0, jitter_ms = 0 }, chance) => (after_ms + chance * jitter_ms) / 1000;

/** The URLs of one service, in an order of this client's own, drawn once, so that clients spread; and the one in use. */
export class Rotation {
  #urls;
  #at = 0;
  #failures = 0;

  /**
   * @param {string[]} urls
   * @param {() => number} chance
   */
  constructor(urls, chance) {
    const drawn = urls.map((url) => ({ url, rank: chance() }));
    this.#urls = drawn.sort((one, other) => one.rank - other.rank).map(({ url }) => url);
  }

  get length() {
    return this.#urls.length;
  }

  get current() {
    return this.#urls[this.#at];
  }

  /** How often all of them have failed, one after the other. */
  get rounds() {
    return Math.floor(this.#failures / this.#urls.length);
  }

  /** The one in use was not reached, or lost: go to the next. True where that ends a round of all. */
  failed() {
    this.leave();
    this.#failures += 1;
    return this.#failures % this.#urls.length === 0;
  }

  /** Go to the next although this one did nothing wrong: it said that it goes away. */
  leave() {
    this.#at = (this.#at + 1) % this.#urls.length;
  }

  /** The one in use does what it should: what failed before it is forgotten. */
  worked() {
    this.#failures = 0;
  }
}

/** Of the allowed rate: both clocks drift, and what the network held back arrives in one heap. */
const SHARE = 0.9;
/** As many devices may a user have. */
const LEAST_SHARE = 1 / 20;
/** Of the full pace, each second. */
const REGAINED_PER_S = 0.1;
/** Seconds, at most: frames that were on their way together are refused together. */
const HALVED_EVERY_S = 0.25;

/**
 * Not faster than the service allows: a token bucket of one second's worth. The rate is the user's, whose other devices use it, too:
 * after a refusal each goes at half its pace and picks up again bit by bit.
 */
export class Pace {
  #full;
  #rate;
  #tokens;
  /** @type {number | null} */
  #at = null;
  /** @type {number | null} */
  #halvedAt = null;

  /** @param {number | null} [rate] frames per second; null: no limit is known */
  constructor(rate = null) {
    this.#full = rate === null ? null : rate * SHARE;
    this.#rate = this.#tokens = this.#full ?? 0;
  }

  /**
   * Take one token; seconds to wait before using it.
   * @param {number} now
   */
  waitS(now) {
    if (this.#full === null) return 0;
    if (this.#at !== null) {
      const passed = now - this.#at;
      this.#rate = Math.min(this.#full, this.#rate + passed * REGAINED_PER_S * this.#full);
      this.#tokens = Math.min(Math.max(1, this.#rate), this.#tokens + passed * this.#rate);
    }
    this.#at = now;
    this.#tokens -= 1;
    return Math.max(0, -this.#tokens / this.#rate);
  }

  /**
   * The service refused a frame, although this device kept to the pace.
   * @param {number} now
   */
  slowDown(now) {
    if (this.#full === null || (this.#halvedAt !== null && now < this.#halvedAt + HALVED_EVERY_S)) return;
    this.#halvedAt = now;
    this.#rate = Math.max(this.#rate / 2, this.#full * LEAST_SHARE);
    this.#tokens = Math.min(this.#tokens, 0);
  }
}

/** Seconds without a frame until a device pings; the same while something is unanswered; and for the answer. */
const QUIET_S = 10;
const WAITING_QUIET_S = 3;
const ANSWER_S = 5;

/** Since when one connection has been quiet: a node that hangs closes nothing, so it is asked. */
export class Silence {
  #heardAt;
  /** @type {number | null} */
  #askedAt = null;

  /** @param {number} now */
  constructor(now) {
    this.#heardAt = now;
  }

  /** @param {number} at when the last frame came */
  heard(at) {
    if (at <= this.#heardAt) return;
    this.#heardAt = at;
    this.#askedAt = null;
  }

  /** @param {number} now it was asked out of turn */
  ask(now) {
    this.#askedAt ??= now;
  }

  /**
   * What to do now; "ping" once for each silence. `waiting`: something that was sent is unanswered.
   * @param {number} now
   * @param {boolean} waiting
   * @returns {"nothing" | "ping" | "dead"}
   */
  due(now, waiting) {
    if (this.#askedAt !== null) return now - this.#askedAt >= ANSWER_S ? "dead" : "nothing";
    if (now - this.#heardAt < (waiting ? WAITING_QUIET_S : QUIET_S)) return "nothing";
    this.#askedAt = now;
    return "ping";
  }
}

/**
 * Keeping a device connected: dial, greet, serve, and again, as the close codes and `drain` ask.
 *
 * Theory of operation. `run` owns the connection. Per session it gives frames to the core, while the pump (pump.js) writes what the core
 * owes. A session ends with LinkClosed, whatever the cause; then `run` dials the next node at once, waits when all of them were tried,
 * or ends for good by throwing.
 *
 * On `drain` the next connection is dialled first, to another node where one is known; then the old one is left.
 */

import { finalError, LinkClosed } from "./errors.js";
import { Link, OPEN_S, sleep, steady } from "./link.js";
import { Pump } from "./pump.js";
import { Requests } from "./requests.js";
import { afterClose, Backoff, drainDelayS, Silence, STEADY_S } from "./timing.js";
import { Renewal } from "./tokens.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./core.js").Core} Core */

/** Bytes. A hello without an authenticated upgrade, which browsers cannot make, is 16 KiB at most; this much is not positions. */
const HELLO_BYTES = 16 * 1024 - 1024;
/** Seconds for one node while others are known; twice as long with each round, up to OPEN_S. */
const DIAL_S = 2;
/** Seconds before the next node is dialled: the devices of one that was killed all lose it in the same moment. */
const MOVE_S = 0.2;
const WATCH_S = 1;

/**
 * @typedef {object} Parts
 * @property {import("./timing.js").Rotation} nodes
 * @property {Core} core
 * @property {import("./tokens.js").TokenSource} tokens
 * @property {Frame} hello what to say beside token and positions
 * @property {(moved: Map<string, string | null>) => Promise<void>} keep positions, before they are acked
 * @property {(frame: Frame) => void} onMoved this was received
 * @property {(state: "connecting" | "open" | "closed") => void} onState
 * @property {(direction: "in" | "out", frame: Frame) => void} onWire
 * @property {() => boolean} isHidden nobody sees the page: timers may be a minute late
 * @property {typeof WebSocket} WebSocket
 */

export class Connection {
  requests = new Requests();
  /** @type {Frame | null} */
  welcome = null;
  open = false;
  #parts;
  #core;
  #pump;
  #backoff = new Backoff();
  /** @type {Link | null} */
  #link = null;
  /** @type {Link | null} Dialled ahead of a drain. */
  #spare = null;
  #silence = new Silence(0);
  /** The token in use was refused. */
  #refused = false;
  #stopped = false;
  #paused = false;
  /** @type {() => void} Ends the wait before the next dial. */
  #hurry = () => {};

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#core = parts.core;
    this.#pump = new Pump({ ...parts, requests: this.requests, link: () => (this.open ? this.#link : null) });
  }

  /** Stay connected until `stop`. Rejects with what ends it for good. */
  async run() {
    try {
      while (!this.#stopped) await this.#once();
    } finally {
      this.#link?.end(1000, "");
      this.#spare?.end(1000, "");
      this.#parts.onState("closed");
    }
  }

  /** Ack what was stored, and end. */
  async stop() {
    await this.#pump.flush({ atOnce: true });
    this.#stopped = true;
    this.#link?.end(1000, "the chat was closed");
    this.#hurry();
  }

  /** Leave, and stay away until `resume`. */
  pause() {
    this.#paused = true;
    this.#link?.end(1000, "paused");
  }

  resume() {
    this.#paused = false;
    this.#hurry();
  }

  /** The network came back, or somebody looks again: don't wait any longer, and don't trust a line that has been quiet. */
  nudge() {
    this.#hurry();
    if (this.open && this.#link !== null && steady() - this.#link.heardAt > 1) this.#ask();
  }

  /** The core has something to send. */
  wake() {
    this.#pump.wake();
  }

  /** The core's next time may be sooner than it was. */
  look() {
    this.#pump.look();
  }

  async #once() {
    const openedAt = steady();
    try {
      await this.#oneSession();
    } catch (closed) {
      const wasOpen = this.open;
      this.#endSession();
      if (!(closed instanceof LinkClosed)) throw closed;
      if (this.#stopped) return;
      if (wasOpen) this.#lived(steady() - openedAt);
      this.#parts.onState("connecting");
      await this.#prepareForNext(closed);
    }
  }

  async #oneSession() {
    const token = await this.#token();
    const link = this.#spare ?? (await this.#dial());
    this.#spare = null;
    this.#link = link;
    if (this.#stopped || this.#paused) link.end(1000, "");
    this.welcome = await this.#greet(link, token);
    this.#core.opened(this.welcome, steady());
    this.open = true;
    this.#silence = new Silence(steady());
    this.#parts.onState("open");
    const renewal = new Renewal(this.#parts.tokens, this.welcome, (fresh) => this.#renew(link, fresh));
    const chores = setInterval(() => {
      this.#watch(link);
      void renewal.look();
    }, WATCH_S * 1000);
    try {
      await link.listen((frame) => this.#receive(link, frame));
    } finally {
      clearInterval(chores);
    }
  }

  /**
   * @param {Link} link
   * @param {string} token
   */
  async #greet(link, token) {
    const stands = this.#core.hello(HELLO_BYTES - token.length);
    this.#parts.onWire("out", { type: "hello", ...this.#parts.hello, ...stands });
    const welcome = await link.greet({ type: "hello", token, ...this.#parts.hello, ...stands });
    this.#parts.onWire("in", welcome);
    return welcome;
  }

  #endSession() {
    const wasOpen = this.open;
    this.open = false;
    this.#pump.rest();
    this.#link?.end(1000, "");
    this.#link = null;
    if (wasOpen) this.#core.closed(steady());
    this.requests.lost();
  }

  /**
   * @param {Link} link
   * @param {Frame} frame
   */
  #receive(link, frame) {
    this.#parts.onWire("in", frame);
    if (frame.type === "drain") void this.#moveHouse(link, frame);
    else if (!this.requests.answer(frame)) this.#core.receive(frame, steady());
    this.#parts.onMoved(frame);
    this.wake();
  }

  /**
   * Ask when the other side has been quiet for long; leave when it does not answer.
   * @param {Link} link
   */
  #watch(link) {
    this.#silence.heard(link.heardAt);
    const due = this.#silence.due(steady(), this.#core.outbox.length > 0 || this.requests.length > 0);
    if (due === "dead" || link.silent) link.end(1006, "the service hangs: no answer to a ping");
    else if (due === "ping") void this.#pump.say({ type: "ping" });
  }

  /** Ask now: whoever does not answer within a few seconds is gone. */
  #ask() {
    this.#silence.ask(steady());
    void this.#pump.say({ type: "ping" });
  }

  /**
   * @param {Link} link
   * @param {string} token is shown to nobody else
   */
  async #renew(link, token) {
    this.#parts.onWire("out", { type: "auth" });
    await link.send({ type: "auth", token });
  }

  /** @param {number} seconds an open session lasted; a good one makes up for the failures before it */
  #lived(seconds) {
    this.#backoff.lived(seconds);
    if (seconds >= STEADY_S) this.#parts.nodes.worked();
  }

  async #dial() {
    const { nodes, WebSocket } = this.#parts;
    while (this.#paused && !this.#stopped) await this.#nap(60);
    if (this.#stopped) throw new LinkClosed(1000, "the chat was closed");
    this.#parts.onState("connecting");
    const openS = nodes.length === 1 ? OPEN_S : Math.min(OPEN_S, DIAL_S * 2 ** Math.min(nodes.rounds, 8));
    return Link.open(nodes.current, { openS, WebSocket });
  }

  /**
   * @param {Link} link
   * @param {Frame} drain
   */
  async #moveHouse(link, drain) {
    await sleep(drainDelayS(drain, Math.random()) * 1000);
    const { nodes, WebSocket } = this.#parts;
    for (let tried = 0; tried < nodes.length && this.#link === link; tried += 1) {
      nodes.leave();
      try {
        const spare = await Link.open(nodes.current, { WebSocket });
        // Too late where the old one ended meanwhile: beside the next session it would only lie there.
        if (this.#link !== link) spare.end(1000, "");
        else this.#spare = spare;
        link.end(1000, "the node goes away");
        return;
      } catch {
        // The next one, or whatever the close of the old one asks for.
      }
    }
  }

  /** @param {LinkClosed} closed */
  async #prepareForNext(closed) {
    const { nodes, tokens } = this.#parts;
    const verdict = afterClose(closed.code);
    if (verdict === "stop" || (verdict === "new token" && !tokens.renewable)) throw finalError(closed);
    if (this.#spare !== null || this.#paused) return;
    const allTried = nodes.failed();
    this.#refused ||= verdict === "new token";
    await this.#nap(allTried ? this.#backoff.nextDelayS(Math.random()) : MOVE_S * Math.random());
  }

  /** The token in use, or a fresh one; where there is none for now, that is a lost line like any other. */
  async #token() {
    const { tokens } = this.#parts;
    try {
      const token = await (this.#refused ? tokens.fresh() : tokens.current());
      this.#refused = false;
      return token;
    } catch (error) {
      const { code, temporary = true } = /** @type {any} */ (error);
      if (code === "unauthenticated" || !temporary) throw error;
      throw new LinkClosed(1006, "no token");
    }
  }

  /** @param {number} seconds unless somebody hurries */
  #nap(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
  }
}

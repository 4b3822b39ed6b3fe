/** A device of one user: messages in, messages out, over a connection that comes back by itself. */

import { Connection } from "./connection.js";
import { Consumers } from "./consumers.js";
import { Core } from "./core.js";
import { invalid, PushpullError } from "./errors.js";
import { messageOf } from "./events.js";
import { checkCid, encodeBody } from "./frames.js";
import { steady } from "./link.js";
import { httpUrl, ownService, settle, websocketUrl } from "./place.js";
import { FEATURE } from "./screen.js";
import { randomName, Sender } from "./sender.js";
import { Backoff, Rotation } from "./timing.js";
import { claimsOf, TokenSource } from "./tokens.js";

export const VERSION = "0.1.0";

/** Messages on their way out. Past it `send` waits. */
const MAX_PENDING = 1000;
const SIGNAL_BYTES = 4096;

/** @typedef {import("./pushpull.d.ts").Options} Options */

export class Chat {
  /** Resolves when the first session is open; rejects where there will be none. */
  ready;
  /** The device's name at the service; empty until it is settled. */
  device = "";
  /** @type {"connecting" | "open" | "closed"} */
  state = "connecting";
  /** Whether a message is acked as soon as those who take messages are done with it; else `ack` says so. */
  autoAck;
  #options;
  #core = new Core({ maxPending: MAX_PENDING });
  #consumers = new Consumers(() => this.#dispatch());
  #tokens;
  #connection;
  #sender;
  /** @type {import("./place.js").Place | null} */
  #place = null;
  #loaded;
  #dispatching = false;
  #wasRoomy = true;
  /** @type {PushpullError | null} */
  #ended = null;
  /** @type {string | null | undefined} On the screen; undefined: the owner never said. */
  #shown;
  #hello;
  #nodes;
  #unlisten = () => {};
  /** @type {() => void} */
  #onReady = () => {};
  /** @type {(error: Error) => void} */
  #onFailed = () => {};

  /** @param {Options} options as of `connect` */
  constructor(options) {
    this.#options = options;
    this.autoAck = options.autoAck ?? true;
    this.#tokens = new TokenSource(options);
    this.#nodes = new Rotation(urlsOf(options).map(websocketUrl), Math.random);
    this.#hello = helloOf(options);
    this.#connection = new Connection({
      nodes: this.#nodes,
      core: this.#core,
      tokens: this.#tokens,
      hello: this.#hello,
      keep: async (moved) => this.#place?.store.savePositions(moved),
      onMoved: (frame) => this.#moved(frame),
      onState: (state) => this.#enter(state),
      onWire: (direction, frame) => this.#consumers.tell("wire", { type: "wire", direction, frame }),
      isHidden,
      WebSocket: options.WebSocket ?? globalThis.WebSocket,
    });
    this.#sender = new Sender({
      core: this.#core,
      store: () => /** @type {import("./place.js").Place} */ (this.#place).store,
      wake: () => this.#connection.wake(),
      onDone: (outgoing) => this.#onSendDone(outgoing),
      history: (cid, page) => this.history(cid, page),
    });
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = () => resolve(undefined);
      this.#onFailed = reject;
    });
    this.ready.catch(() => {}); // whoever waits for it hears it; nobody needs to
    this.#loaded = this.#settle();
    this.#loaded.then(
      () => this.#run(),
      (error) => this.#end(error),
    );
  }

  // ------------------------------------------------------------------------------------------------ receive

  /**
   * Hear of events; see `Events` in the declarations. A chat hands nothing out, and acks nothing, until somebody takes messages.
   * @param {string} type
   * @param {(event: any) => unknown} listener
   * @returns {() => void} ends it
   */
  on(type, listener) {
    return this.#consumers.on(type, listener);
  }

  /** The messages of all conversations, each conversation's in order, each once. Asking for the next says that the last is stored. */
  messages() {
    return this.#consumers.feed(({ type }) => type === "message");
  }

  /** Messages and what else happens, in order: a `reset` stands exactly where the device has to start over. */
  events() {
    return this.#consumers.feed(() => true);
  }

  /**
   * This message, and all before it in its conversation, are stored. For chats with `autoAck: false`.
   * @param {{cid: string, id: string}} message
   */
  ack({ cid, id }) {
    this.#core.markStored(cid, id, steady());
    this.#connection.wake();
  }

  /** The user's conversations by cid, with unread counts, as far as they are listed by now. Read them, don't write them. */
  get conversations() {
    return this.#core.held.seen;
  }

  /** Where this device stands. */
  get positions() {
    return new Map(this.#core.inbox.stored);
  }

  get user() {
    return this.#core.user;
  }

  // ------------------------------------------------------------------------------------------------ send

  /**
   * Send one message; resolves when the service has it. It is stored once however often the line is lost.
   * @param {string} cid
   * @param {unknown} body
   * @param {{kind?: string, cmid?: string, quiet?: boolean, mentions?: string[], ref?: number}} [more]
   */
  async send(cid, body, { kind, cmid = randomName(), quiet, mentions, ref } = {}) {
    const limitBytes = this.#connection.welcome?.limits?.body_bytes;
    const raw = encodeBody(body, limitBytes);
    checkCid(cid);
    await this.#loaded;
    this.#throwIfEnded();
    const sending = this.#sender.send({ cid, cmid, body: raw, kind, quiet, mentions, ref });
    this.#consumers.tell("outbox", { type: "outbox" });
    return sending;
  }

  /** What is not at the service yet, each conversation's in order. */
  get outbox() {
    return this.#core.outbox.waiting.map(({ cid, cmid, body, kind, quiet, mentions, ref, queuedAt }) => ({
      cid,
      cmid,
      body: body.value,
      kind,
      quiet,
      mentions,
      ref,
      queuedAt,
    }));
  }

  /**
   * The user has read up to `seq`. Told as soon as there is a connection.
   * @param {string} cid
   * @param {number} seq
   */
  read(cid, seq) {
    if (!Number.isSafeInteger(seq) || seq < 1) throw invalid(`seq ${seq} is not a seq: 1 or more`);
    this.#throwIfEnded();
    this.#core.read(checkCid(cid), seq);
    this.#connection.wake();
  }

  /**
   * Tell the members who are connected now something passing (typing…): at once or not at all.
   * @param {string} cid
   * @param {unknown} body any JSON of up to 4 KiB
   */
  signal(cid, body) {
    this.#throwIfEnded();
    this.#core.signal(checkCid(cid), encodeBody(body, SIGNAL_BYTES));
    this.#connection.wake();
  }

  /**
   * This conversation is on the screen now; null: none is. Whether somebody looks at the page is seen by itself.
   * @param {string | null} cid
   */
  focus(cid) {
    this.#throwIfEnded();
    this.#shown = cid === null ? null : checkCid(cid);
    this.#look();
  }

  /**
   * Messages older than seq `before` (else the newest), ascending.
   * @param {string} cid
   * @param {{before?: number, limit?: number}} [page]
   */
  async history(cid, { before, limit = 100 } = {}) {
    const asked = this.#connection.requests.ask({
      type: "pull",
      cid: checkCid(cid),
      limit,
      ...(before === undefined ? {} : { before }),
    });
    this.#connection.wake();
    const answer = await asked;
    if (answer.type !== "history") throw invalid(`the service answered a history request with ${answer.type}`);
    const messages = answer.items.map((/** @type {any} */ item) => messageOf(cid, item));
    return { messages, floor: answer.floor ?? 1, more: answer.more === true };
  }

  /**
   * One of the service's HTTP calls, as this user: `await chat.call("GET", "/conversations/tea/members")`. Resolves with the JSON.
   * @param {string} method
   * @param {string} path below /v1
   * @param {unknown} [body]
   */
  async call(method, path, body) {
    const token = await this.#tokens.current();
    const answer = await fetch(httpUrl(this.#nodes.current) + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const problem = await answer.json().catch(() => ({}));
    throw new PushpullError(problem.code ?? "internal", problem.detail ?? `http ${answer.status}`, {
      retryAfterMs: problem.retry_after_ms ?? null,
      reason: problem.reason ?? "",
    });
  }

  // ------------------------------------------------------------------------------------------------ come and go

  /** Leave the service and stay away, as when there is no network, until `resume`. */
  pause() {
    this.#connection.pause();
  }

  resume() {
    this.#connection.resume();
  }

  /** Ack what was stored, keep what waits, end. */
  async close() {
    if (this.#ended !== null) return;
    await this.#loaded.catch(() => {});
    await this.#connection.stop();
    this.#end(new PushpullError("connection_ended", "the chat was closed"));
  }

  // ------------------------------------------------------------------------------------------------ inside

  /** Find out who and where this device is, and what it has kept. */
  async #settle() {
    const user = this.#options.user ?? claimsOf(await this.#firstToken()).sub ?? "";
    const { store, device } = this.#options;
    const onTrouble = (/** @type {unknown} */ error) => this.#consumers.tell("trouble", { type: "trouble", error });
    const place = await settle({ store, device, user, service: this.#nodes.current, onTrouble });
    const { positions, outbox } = await place.store.load();
    for (const [cid, pos] of positions) this.#core.inbox.begin(cid, pos);
    this.#place = place;
    this.device = this.#hello.device = place.device;
    this.#sender.restore(outbox);
  }

  /** The token, also where the way to it is not there yet: a page that starts without a network waits for one. */
  async #firstToken() {
    const backoff = new Backoff();
    while (this.#ended === null) {
      try {
        return await this.#tokens.current();
      } catch (error) {
        if (/** @type {any} */ (error).code === "unauthenticated") throw error;
        await new Promise((resolve) => setTimeout(resolve, backoff.nextDelayS(Math.random()) * 1000));
      }
    }
    throw this.#ended;
  }

  #run() {
    if (this.#ended !== null) return;
    this.#listenToThePage();
    void this.#place?.adopt((sends) => {
      this.#sender.restore(sends);
      this.#connection.wake();
    });
    this.#connection.run().then(
      () => {},
      (error) => this.#end(error),
    );
  }

  #listenToThePage() {
    if (typeof document === "undefined") return;
    const listening = new AbortController();
    const { signal } = listening;
    document.addEventListener("visibilitychange", () => this.#look(), { signal });
    addEventListener("online", () => this.#connection.nudge(), { signal });
    this.#unlisten = () => listening.abort();
  }

  /** What is on the screen, and whether somebody looks at it. Nobody does: what was stored is acked before timers are slowed down. */
  #look() {
    if (this.#shown !== undefined) this.#core.show(this.#shown, !isHidden());
    if (!isHidden()) this.#connection.nudge();
    this.#connection.wake();
  }

  /** @param {import("./frames.js").Frame} frame */
  #moved(frame) {
    this.#sender.attend();
    this.#consumers.tell("change", { type: "change", cid: frame.cid ?? null });
    void this.#dispatch();
  }

  /** Hand out what was received, one after the other, as fast as those who take it are done with it. */
  async #dispatch() {
    if (this.#dispatching) return;
    this.#dispatching = true;
    const { inbox } = this.#core;
    while (this.#consumers.ready && this.#ended === null) {
      const entry = inbox.take();
      if (entry === null) break;
      if (entry.event !== null) await this.#consumers.hand(entry.event);
      this.#core.settle(steady(), { ackedByHand: !this.autoAck });
      if (isHidden() || (inbox.roomy && !this.#wasRoomy)) this.#connection.wake();
      else this.#connection.look();
      this.#wasRoomy = inbox.roomy;
    }
    this.#dispatching = false;
  }

  /** @param {import("./outbox.js").Outgoing} outgoing */
  #onSendDone({ cid, cmid, result, error }) {
    if (error !== null) this.#consumers.tell("unsent", { type: "unsent", cid, cmid, error });
    else this.#consumers.tell("sent", { type: "sent", ...result });
    this.#consumers.tell("outbox", { type: "outbox" });
  }

  /** @param {"connecting" | "open" | "closed"} state */
  #enter(state) {
    if (state === this.state) return;
    this.state = state;
    if (state === "open") this.#onReady();
    this.#consumers.tell("state", { type: "state", state });
  }

  /** @param {any} error what ended the chat */
  #end(error) {
    if (this.#ended !== null) return;
    const closed = error.code === "connection_ended" && error.closeCode === 0;
    this.#ended = error;
    this.#onFailed(error);
    this.#sender.end(error);
    this.#connection.requests.end(error);
    this.#unlisten();
    this.#place?.leave();
    this.#enter("closed");
    this.#consumers.end(closed ? null : error);
    if (!closed) this.#consumers.tell("end", { type: "end", error });
  }

  #throwIfEnded() {
    if (this.#ended !== null) throw this.#ended;
  }
}

const isHidden = () => typeof document !== "undefined" && document.visibilityState === "hidden";

/** @param {Options} options */
function urlsOf({ url, urls }) {
  const given = urls ?? [url ?? ownService()];
  const listed = [...new Set(given.map((one) => one.trim().replace(/\/+$/, "")).filter(Boolean))];
  if (listed.length === 0) throw invalid("no url, expected one at least");
  return listed;
}

/** @param {Options} options */
function helloOf({ unnamed = "delivered", maxBacklog, receipts = false, client }) {
  if (!["delivered", "all", "head"].includes(unnamed)) throw invalid(`unnamed ${unnamed} is not delivered, all or head`);
  return {
    device: "",
    client: client ?? `pushpull-js/${VERSION}`,
    features: receipts ? [FEATURE, "receipts"] : [FEATURE],
    unnamed,
    ...(maxBacklog === undefined ? {} : { max_backlog: maxBacklog }),
  };
}

/** A device of one user: messages in, messages out, over a connection that comes back by itself. */

import { call } from "./calls.js";
import { Connection } from "./connection.js";
import { Consumers, Dispatch } from "./consumers.js";
import { Core } from "./core.js";
import { helloOf, nodesOf } from "./dial.js";
import { closedHere, invalid } from "./errors.js";
import { historyOf } from "./events.js";
import { checkCid, encodeBody } from "./frames.js";
import { Life } from "./life.js";
import { steady } from "./link.js";
import { isHidden, Page } from "./page.js";
import { settle } from "./place.js";
import { randomName, Sender } from "./sender.js";
import { claimsOf, TokenSource } from "./tokens.js";

export const VERSION = "0.1.0";

/** Messages on their way out. Past it `send` waits. */
const MAX_PENDING = 1000;
const SIGNAL_BYTES = 4096;

/** @typedef {import("./pushpull.d.ts").Options} Options */
/** @typedef {import("./pushpull.d.ts").Chat} Declared */

/** @implements {Declared} */
export class Chat {
  /** The device's name at the service; empty until it is settled. */
  device = "";
  /** Whether a message is acked as soon as those who take messages are done with it; else `ack` says so. */
  autoAck;
  #options;
  /** Before the first session, this device's clock stands in for the service's. */
  #core = new Core({ maxPending: MAX_PENDING, clockAheadMs: Date.now() - steady() * 1000 });
  #consumers = new Consumers(() => this.#dispatch.run());
  #life = new Life(this.#consumers);
  #tokens;
  #connection;
  #dispatch;
  #page;
  #sender;
  /** @type {import("./place.js").Place | null} */
  #place = null;
  #loaded;
  #closing = new AbortController();
  #hello;
  #nodes;

  /** @param {Options} options as of `connect` */
  constructor(options) {
    this.#options = options;
    this.autoAck = options.autoAck ?? true;
    this.#tokens = new TokenSource(options);
    this.#nodes = nodesOf(options);
    this.#hello = helloOf(options, `pushpull-js/${VERSION}`);
    this.#connection = new Connection({
      nodes: this.#nodes,
      core: this.#core,
      tokens: this.#tokens,
      hello: this.#hello,
      keep: async (moved) => this.#place?.store.savePositions(moved),
      onMoved: (frame) => this.#moved(frame),
      onState: (state) => this.#life.enter(state),
      onWire: (direction, frame) => this.#consumers.tell({ type: "wire", direction, frame }),
      isHidden,
      WebSocket: options.WebSocket ?? globalThis.WebSocket,
    });
    this.#page = new Page(this.#core, this.#connection);
    this.#dispatch = new Dispatch({
      core: this.#core,
      consumers: this.#consumers,
      connection: this.#connection,
      isOver: () => this.#life.ended !== null,
      ackedByHand: () => !this.autoAck,
    });
    this.#sender = new Sender({
      core: this.#core,
      store: () => /** @type {import("./place.js").Place} */ (this.#place).store,
      wake: () => this.#connection.wake(),
      onDone: (outgoing) => this.#onSendDone(outgoing),
      history: (cid, page) => this.history(cid, page),
    });
    this.#loaded = this.#settle();
    this.#loaded.then(
      () => this.#run(),
      (error) => this.#end(error),
    );
  }

  /** Resolves when the first session is open; rejects where there will be none. */
  get ready() {
    return this.#life.ready;
  }

  get state() {
    return this.#life.state;
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
    this.#life.throwIfEnded();
    const sending = this.#sender.send({ cid, cmid, body: raw, kind, quiet, mentions, ref });
    this.#consumers.tell({ type: "outbox" });
    return sending;
  }

  /** What is not at the service yet, each conversation's in order. */
  get outbox() {
    return this.#core.outbox.waiting.map((outgoing) => outgoing.shown());
  }

  /**
   * The user has read up to `seq`. Told as soon as there is a connection.
   * @param {string} cid
   * @param {number} seq
   */
  read(cid, seq) {
    if (!Number.isSafeInteger(seq) || seq < 1) throw invalid(`seq ${seq} is not a seq: 1 or more`);
    this.#life.throwIfEnded();
    this.#core.read(checkCid(cid), seq);
    this.#connection.wake();
  }

  /**
   * Tell the members who are connected now something passing (typing…): at once or not at all.
   * @param {string} cid
   * @param {unknown} body any JSON of up to 4 KiB
   */
  signal(cid, body) {
    this.#life.throwIfEnded();
    this.#core.signal(checkCid(cid), encodeBody(body, SIGNAL_BYTES));
    this.#connection.wake();
  }

  /**
   * This conversation is on the screen now; null: none is. Whether somebody looks at the page is seen by itself.
   * @param {string | null} cid
   */
  focus(cid) {
    this.#life.throwIfEnded();
    this.#page.show(cid === null ? null : checkCid(cid));
  }

  /**
   * Messages older than seq `before` (else the newest), ascending.
   * @param {string} cid
   * @param {{before?: number, limit?: number}} [page]
   */
  async history(cid, { before, limit = 100 } = {}) {
    const frame = { type: "pull", cid: checkCid(cid), limit, ...(before === undefined ? {} : { before }) };
    const asked = this.#connection.requests.ask(frame);
    this.#connection.wake();
    return historyOf(cid, await asked);
  }

  /**
   * One of the service's HTTP calls, as this user: `await chat.call("GET", "/conversations/tea/members")`. Resolves with the JSON.
   * @param {string} method
   * @param {string} path below /v1
   * @param {unknown} [body]
   */
  async call(method, path, body) {
    return call(method, path, { body, token: await this.#tokens.current(), node: this.#nodes.current });
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
    if (this.#life.ended !== null) return;
    this.#closing.abort();
    await this.#loaded.catch(() => {});
    await this.#connection.stop();
    this.#end(closedHere());
  }

  // ------------------------------------------------------------------------------------------------ inside

  /** Find out who and where this device is, and what it has kept. */
  async #settle() {
    const { store, device } = this.#options;
    const user = this.#options.user ?? claimsOf(await this.#tokens.first(this.#closing.signal)).sub ?? "";
    const onTrouble = (/** @type {unknown} */ error) => this.#consumers.tell({ type: "trouble", error });
    const place = await settle({ store, device, user, service: this.#nodes.current, onTrouble });
    const { positions, outbox } = await place.store.load();
    for (const [cid, pos] of positions) this.#core.inbox.begin(cid, pos);
    this.#place = place;
    this.device = this.#hello.device = place.device;
    this.#sender.restore(outbox);
  }

  #run() {
    if (this.#life.ended !== null) return;
    this.#page.watch();
    void this.#place?.adopt((sends) => {
      this.#sender.restore(sends);
      this.#connection.wake();
    });
    this.#connection.run().catch((error) => this.#end(error));
  }

  /** @param {import("./frames.js").Frame} frame */
  #moved(frame) {
    this.#sender.attend();
    this.#consumers.tell({ type: "change", cid: frame.cid ?? null });
    void this.#dispatch.run();
  }

  /** @param {import("./outbox.js").Outgoing} outgoing */
  #onSendDone(outgoing) {
    this.#consumers.tell(outgoing.outcome());
    this.#consumers.tell({ type: "outbox" });
  }

  /** @param {any} error what ended the chat */
  #end(error) {
    if (this.#life.ended !== null) return;
    this.#life.end(error);
    this.#sender.end(error);
    this.#connection.requests.end(error);
    this.#page.leave();
    this.#place?.leave();
    this.#life.tellEnd();
  }
}

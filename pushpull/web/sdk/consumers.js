/**
 * Those who take what a chat receives: listeners and async iterators.
 *
 * Theory of operation. An event is handed to all of them, and is done with when every listener's promise is settled and every iterator
 * was asked for its next. Only then comes the next event, and only then is a message acked: whoever is slow slows the chat down, which
 * then lets messages lie at the service. Each iterator holds one event, so nothing piles up here.
 */

import { steady } from "./link.js";
import { isHidden } from "./page.js";

/** Say what a listener threw where the page's owner sees it; the chat goes on. */
function complain(/** @type {unknown} */ error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

class Feed {
  #accepts;
  #onReturn;
  /** @type {any[]} Handed and not taken yet: one at most. */
  #held = [];
  /** @type {((result: IteratorResult<any>) => void)[]} */
  #asking = [];
  /** @type {(() => void) | null} */
  #done = null;
  /** @type {{error: Error | null} | null} */
  #ended = null;

  /**
   * @param {(event: any) => boolean} accepts
   * @param {(feed: Feed) => void} onReturn
   */
  constructor(accepts, onReturn) {
    this.#accepts = accepts;
    this.#onReturn = onReturn;
  }

  /**
   * Resolves when the event is done with.
   * @param {any} event
   */
  async offer(event) {
    if (this.#ended !== null || !this.#accepts(event)) return;
    await new Promise((resolve) => {
      this.#done = () => resolve(undefined);
      const ask = this.#asking.shift();
      if (ask === undefined) this.#held.push(event);
      else ask({ value: event, done: false });
    });
  }

  /** @param {Error | null} error what the chat ended with; null where it was closed */
  end(error) {
    this.#ended ??= { error };
    for (const ask of this.#asking.splice(0)) ask({ value: undefined, done: true });
    this.#release();
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async next() {
    if (this.#held.length > 0) return { value: this.#held.shift(), done: false };
    this.#release();
    this.#throwWhatEnded();
    if (this.#ended !== null) return { value: undefined, done: true };
    const result = await new Promise((resolve) => this.#asking.push(resolve));
    if (result.done) this.#throwWhatEnded();
    return result;
  }

  /** @returns {Promise<IteratorResult<any>>} */
  async return() {
    this.#ended ??= { error: null };
    this.#onReturn(this);
    this.#release();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #throwWhatEnded() {
    if (this.#ended?.error) throw this.#ended.error;
  }

  #release() {
    const done = this.#done;
    if (this.#held.length > 0 && this.#ended === null) return;
    this.#done = null;
    done?.();
  }
}

export class Consumers {
  /** @type {Map<string, Set<(event: any) => unknown>>} */
  #listeners = new Map();
  /** @type {Set<Feed>} */
  #feeds = new Set();
  #onReady;

  /** @param {() => void} onReady somebody takes messages now */
  constructor(onReady) {
    this.#onReady = onReady;
  }

  /** Whether somebody takes messages. Until then nothing is handed out: what nobody saw must not be acked. */
  get ready() {
    return this.#feeds.size > 0 || (this.#listeners.get("message")?.size ?? 0) > 0;
  }

  /**
   * @param {string} type
   * @param {(event: any) => unknown} listener
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    if (this.ready) this.#onReady();
    return () => void listeners.delete(listener);
  }

  /** @param {(event: any) => boolean} accepts */
  feed(accepts) {
    const feed = new Feed(accepts, (returned) => this.#feeds.delete(returned));
    this.#feeds.add(feed);
    this.#onReady();
    return feed;
  }

  /**
   * Hand an event to everybody; resolves when all are done with it.
   * @param {any} event
   */
  async hand(event) {
    const listened = [...(this.#listeners.get(event.type) ?? [])].map(async (listener) => listener(event));
    const outcomes = await Promise.allSettled([...listened, ...[...this.#feeds].map((feed) => feed.offer(event))]);
    for (const outcome of outcomes) if (outcome.status === "rejected") complain(outcome.reason);
  }

  /**
   * Tell listeners something that waits for nobody.
   * @param {any} event
   */
  tell(event) {
    for (const listener of this.#listeners.get(event.type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        complain(error);
      }
    }
  }

  /** @param {Error | null} error */
  end(error) {
    for (const feed of this.#feeds) feed.end(error);
    this.#feeds.clear();
  }
}

/**
 * @typedef {object} Parts
 * @property {import("./core.js").Core} core
 * @property {Consumers} consumers
 * @property {import("./connection.js").Connection} connection
 * @property {() => boolean} isOver
 * @property {() => boolean} ackedByHand being done with a message says nothing; its owner acks it
 */

/** Hands out what was received, one event after the other: being done with one settles it in the core, which acks it. */
export class Dispatch {
  #parts;
  #running = false;
  #wasRoomy = true;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** There may be something to hand out, or somebody to hand it to. */
  async run() {
    if (this.#running) return;
    this.#running = true;
    const { core, consumers, isOver, ackedByHand } = this.#parts;
    while (consumers.ready && !isOver()) {
      const entry = core.inbox.take();
      if (entry === null) break;
      if (entry.event !== null) await consumers.hand(entry.event);
      core.settle(steady(), { ackedByHand: ackedByHand() });
      this.#tellConnection();
    }
    this.#running = false;
  }

  /** Acks may be due sooner than it knows, at once where timers are slow; and there may be room for what was put off. */
  #tellConnection() {
    const { connection, core } = this.#parts;
    const { roomy } = core.inbox;
    if (isHidden() || (roomy && !this.#wasRoomy)) connection.wake();
    else connection.look();
    this.#wasRoomy = roomy;
  }
}

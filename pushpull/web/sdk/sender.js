/** The sending half of a chat: callers wait here until the service has their message, and the store keeps it meanwhile. */

import { invalid } from "./errors.js";
import { Raw } from "./frames.js";
import { steady } from "./link.js";
import { Outgoing } from "./outbox.js";

/** Milliseconds: the first try may be dated so much too late, since the service's clock is only known by one `welcome`. */
const MARGIN_MS = 60_000;
const PAGE = 500;

/** @typedef {import("./storage.js").Store} Store */
/** @typedef {import("./storage.js").StoredSend} StoredSend */

/** 128 random bits. (crypto.randomUUID is not there on pages without TLS.) */
export const randomName = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Sender {
  #core;
  #store;
  #wake;
  #onDone;
  #history;
  /** @type {(() => void)[]} Callers that wait for room in the outbox. */
  #waiting = [];
  /** @type {Error | null} */
  #ended = null;

  /**
   * @param {{core: import("./core.js").Core, store: () => Store, wake: () => void, onDone: (done: Outgoing) => void,
   *   history: (cid: string, page: {before?: number, limit: number}) => Promise<{messages: any[], more: boolean}>}} parts
   *   `onDone` hears of every message's end, also of those whose caller is gone (a reload)
   */
  constructor({ core, store, wake, onDone, history }) {
    this.#core = core;
    this.#store = store;
    this.#wake = wake;
    this.#onDone = onDone;
    this.#history = history;
  }

  /**
   * Resolves with what `sent` says; rejects with the service's refusal, or with what the chat ended with.
   * @param {ConstructorParameters<typeof Outgoing>[0]} message
   * @returns {Promise<{cid: string, cmid: string, id: string, dup: boolean}>}
   */
  async send(message) {
    if (typeof message.cmid !== "string" || message.cmid.length < 1 || message.cmid.length > 64) {
      throw invalid(`cmid ${JSON.stringify(message.cmid)?.slice(0, 80)} is not 1 to 64 characters`);
    }
    while (this.#ended === null && this.#core.outbox.full) {
      await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
    }
    if (this.#ended !== null) throw this.#ended;
    const outgoing = new Outgoing({ ...message, queuedAt: this.#core.serviceTimeMs(steady()) });
    void this.#store().putSend(stored(outgoing));
    return new Promise((resolve, reject) => {
      this.#add(outgoing, () => {
        if (outgoing.error !== null) reject(outgoing.error);
        else if (outgoing.result !== null) resolve(outgoing.result);
      });
      this.#wake();
    });
  }

  /**
   * Put back what an earlier page left behind. It may have been tried then, so it is dated by when it was queued.
   * @param {StoredSend[]} sends
   */
  restore(sends) {
    for (const send of sends) {
      this.#add(new Outgoing({ ...send, body: new Raw(send.body), firstAt: send.queuedAt }), () => {});
    }
  }

  /** See to what the core found: sends that were refused as too old, and such as a failover lost. */
  attend() {
    for (const outgoing of this.#core.expired.splice(0)) void this.#lookUp(outgoing);
    for (const outgoing of this.#core.returned.splice(0)) void this.#store().putSend(stored(outgoing));
  }

  /** @param {import("./errors.js").PushpullError} error the chat is over; what waits stays in the store */
  end(error) {
    this.#ended = error;
    this.#core.outbox.abandon(error);
    for (const go of this.#waiting.splice(0)) go();
  }

  /**
   * @param {Outgoing} outgoing
   * @param {() => void} tellCaller
   */
  #add(outgoing, tellCaller) {
    outgoing.onDone = () => {
      this.#waiting.shift()?.();
      if (this.#ended === null) void this.#store().removeSend(outgoing.cid, outgoing.cmid);
      tellCaller();
      this.#onDone(outgoing);
    };
    this.#core.outbox.add(outgoing);
  }

  /**
   * The procedure of the contract for `cmid_expired`: look for the cmid up to the head, and only if it is not there send under
   * a new one. Looked at are the newest messages back to the time of the first try.
   * @param {Outgoing} outgoing
   */
  async #lookUp(outgoing) {
    const { outbox } = this.#core;
    try {
      const found = await this.#find(outgoing);
      if (found !== null) {
        outbox.settle(outgoing, { result: { cid: found.cid, cmid: found.cmid, id: found.id, dup: true } });
      } else {
        const { cid, cmid } = outgoing;
        if (!outbox.rename(outgoing, randomName())) return;
        void this.#store().removeSend(cid, cmid);
        outgoing.queuedAt = this.#core.serviceTimeMs(steady());
        void this.#store().putSend(stored(outgoing));
      }
    } catch (error) {
      outbox.settle(outgoing, { error: /** @type {any} */ (error) });
    }
    this.#wake();
  }

  /** @param {Outgoing} outgoing */
  async #find(outgoing) {
    const oldestMs = (outgoing.firstAt ?? 0) - MARGIN_MS;
    /** @type {number | undefined} */
    let before;
    for (;;) {
      const { messages, more } = await this.#history(outgoing.cid, { before, limit: PAGE });
      const found = messages.find(({ from, cmid }) => from === this.#core.user && cmid === outgoing.cmid);
      if (found !== undefined) return found;
      if (!more || messages.length === 0 || messages[0].ts < oldestMs) return null;
      before = messages[0].seq;
    }
  }
}

/**
 * @param {Outgoing} outgoing
 * @returns {StoredSend}
 */
const stored = ({ cid, cmid, body, kind, quiet, mentions, ref, queuedAt }) => ({
  cid,
  cmid,
  body: body.json,
  kind,
  quiet,
  mentions,
  ref,
  queuedAt,
});

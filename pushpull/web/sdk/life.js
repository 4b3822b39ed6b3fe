/** The life of a chat: connecting and open by turns, then ended, once and for good; and who is told. */

/** @typedef {import("./errors.js").PushpullError} PushpullError */
/** @typedef {"connecting" | "open" | "closed"} State */

export class Life {
  /** Resolves when the first session is open; rejects where there will be none. */
  ready;
  /** @type {State} */
  state = "connecting";
  /** @type {PushpullError | null} What ended it. */
  ended = null;
  #consumers;
  /** @type {() => void} */
  #onReady = () => {};
  /** @type {(error: Error) => void} */
  #onFailed = () => {};

  /** @param {import("./consumers.js").Consumers} consumers */
  constructor(consumers) {
    this.#consumers = consumers;
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = () => resolve(undefined);
      this.#onFailed = reject;
    });
    this.ready.catch(() => {}); // whoever waits for it hears it; nobody needs to
  }

  /** @param {State} state */
  enter(state) {
    if (state === this.state) return;
    this.state = state;
    if (state === "open") this.#onReady();
    this.#consumers.tell({ type: "state", state });
  }

  /** @param {PushpullError} error nothing begins any more; `tellEnd` once what was under way has ended, too */
  end(error) {
    this.ended = error;
    this.#onFailed(error);
  }

  /** Where its owner closed it, nobody needs to be told why. */
  tellEnd() {
    const error = this.ended;
    const closed = error?.code === "connection_ended" && error.closeCode === 0;
    this.enter("closed");
    this.#consumers.end(closed ? null : error);
    if (!closed) this.#consumers.tell({ type: "end", error });
  }

  /** @throws {PushpullError} what ended it */
  throwIfEnded() {
    if (this.ended !== null) throw this.ended;
  }
}

/** The page that a chat is on: which conversation it shows, whether somebody looks, and whether there is a network again. */

export const isHidden = () => typeof document !== "undefined" && document.visibilityState === "hidden";

export class Page {
  #core;
  #connection;
  /** @type {string | null | undefined} On the screen; undefined: the owner never said. */
  #shown;
  #watching = new AbortController();

  /**
   * @param {import("./core.js").Core} core
   * @param {import("./connection.js").Connection} connection
   */
  constructor(core, connection) {
    this.#core = core;
    this.#connection = connection;
  }

  /** @param {string | null} cid is on the screen from now on; null: none is */
  show(cid) {
    this.#shown = cid;
    this.#look();
  }

  /** Mind who looks, until `leave`. Without a page nobody ever looks away. */
  watch() {
    if (typeof document === "undefined") return;
    const { signal } = this.#watching;
    document.addEventListener("visibilitychange", () => this.#look(), { signal });
    addEventListener("online", () => this.#connection.nudge(), { signal });
  }

  leave() {
    this.#watching.abort();
  }

  /** Nobody looks any more: what was stored is acked before timers are slowed down. */
  #look() {
    if (this.#shown !== undefined) this.#core.show(this.#shown, !isHidden());
    if (!isHidden()) this.#connection.nudge();
    this.#connection.wake();
  }
}

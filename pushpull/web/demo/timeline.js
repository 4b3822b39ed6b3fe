/**
 * The messages of one conversation that this page holds: a piece of the log without holes, of at most MAX.
 *
 * Theory of operation. `live` takes what the client hands out, in order; `older` and `newer` take pages of history. When the piece
 * is full it gives up messages at the end that nobody looks at: the oldest while the reader follows the newest, else the newest.
 * What is given up is still in the log, and is fetched again when somebody scrolls there.
 *
 * Pure: no DOM, no network, no clock.
 */

export const MAX = 1500;

/** @typedef {{id: string, seq: number, ts: number, from: string | null, cmid: string, body: any}} Message */

export class Timeline {
  /** @type {Message[]} Ascending. */
  items = [];
  /** A page was fetched: what `live` brings joins it. */
  loaded = false;
  /** There may be something older in the log. */
  more = true;
  floor = 1;
  /** The newest is held; else it was given up, and comes again with `newer`. */
  atEnd = true;
  /** The highest seq heard of, held or not. */
  head = 0;
  /** Whoever reads stands at the end. */
  following = true;
  /** @type {Message[]} Came before the first page. */
  #early = [];

  get first() {
    return this.items[0]?.seq ?? 0;
  }

  get last() {
    return this.items.at(-1)?.seq ?? 0;
  }

  /** Messages above those that are held. */
  get beyond() {
    return Math.max(0, this.head - this.last);
  }

  /**
   * The newest page, at the beginning or to start over.
   * @param {Message[]} messages
   * @param {{more: boolean, floor: number}} page
   */
  begin(messages, { more, floor }) {
    const early = this.#early.splice(0);
    this.items = [...messages];
    this.more = more;
    this.floor = floor;
    this.loaded = this.atEnd = true;
    this.head = Math.max(this.head, this.last);
    for (const message of early) this.live(message);
    this.atEnd = this.last >= this.head;
  }

  /**
   * The next message, handed out by the client.
   * @param {Message} message
   */
  live(message) {
    this.head = Math.max(this.head, message.seq);
    if (!this.loaded) {
      this.#early.push(message);
      if (this.#early.length > MAX) this.#early.shift();
      return;
    }
    if (message.seq <= this.last || !this.atEnd) return; // on a page already, or beyond what is held
    if (this.items.length >= MAX && !this.following) {
      this.atEnd = false;
      return;
    }
    this.items.push(message);
    this.#trimOldest();
  }

  /**
   * A page of what came before.
   * @param {Message[]} messages
   * @param {{more: boolean, floor: number}} page
   */
  older(messages, { more, floor }) {
    const fresh = messages.filter(({ seq }) => seq < this.first || this.items.length === 0);
    this.items.unshift(...fresh);
    this.more = more;
    this.floor = floor;
    if (this.following) {
      this.#trimOldest();
    } else if (this.items.length > MAX) {
      this.items.length = MAX;
      this.atEnd = false;
    }
  }

  /**
   * A page of what comes after.
   * @param {Message[]} messages
   */
  newer(messages) {
    this.items.push(...messages.filter(({ seq }) => seq > this.last));
    this.atEnd = this.last >= this.head;
    this.#trimOldest();
  }

  /** Throw all away: the log goes on somewhere else. */
  reset() {
    this.items = [];
    this.#early = [];
    this.loaded = false;
    this.more = this.atEnd = true;
    this.head = 0;
  }

  #trimOldest() {
    const surplus = this.items.length - MAX;
    if (surplus <= 0) return;
    this.items.splice(0, surplus);
    this.more = true;
  }
}

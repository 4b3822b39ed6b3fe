/**
 * The log on the screen: a window of at most WINDOW messages, whatever the room holds.
 *
 * Theory of operation. While the reader is at the end (`timeline.following`) the window ends with the newest message. When he
 * scrolls away from there it stands still, named by the seq of its first message, and moves by STEP when he comes near its edge;
 * the message at the top of the screen stays where it is on the screen. Past the edge of what the room holds, a page is fetched.
 */

import { make, onceAFrame, say } from "./elements.js";
import { rowsOf } from "./rows.js";
import { many } from "./words.js";

const WINDOW = 80;
const STEP = 30;
const NEAR_PX = 400;
const END_PX = 48;

export class Log {
  /** @type {import("./room.js").Room | null} */
  room = null;
  #box;
  #newer;
  #empty;
  #view;
  #onEnd;
  #settle;
  #firstSeq = 0;
  #start = 0;
  #seenSeq = 0;
  /** Where the last draw left the end, in px. */
  #endTop = 0;
  /** @type {Map<string, {look: string, element: HTMLElement}>} */
  #rows = new Map();

  /**
   * @param {{box: HTMLElement, newer: HTMLButtonElement, empty: HTMLElement}} elements
   * @param {{view: () => {me: string, online: boolean}, onEnd: () => void,
   *   onAction: (action: string, cmid: string) => void}} owner `onEnd`: the reader sees the newest message
   */
  constructor({ box, newer, empty }, { view, onEnd, onAction }) {
    this.#box = box;
    this.#newer = newer;
    this.#empty = empty;
    this.#view = view;
    this.#onEnd = onEnd;
    this.draw = onceAFrame(() => this.#draw());
    this.#settle = onceAFrame(() => this.#onScroll());
    box.addEventListener("scroll", () => this.#onScrolled(), { passive: true });
    newer.addEventListener("click", () => void this.toEnd());
    box.addEventListener("click", ({ target }) => {
      const { action } = /** @type {HTMLElement} */ (target).dataset;
      const cmid = /** @type {HTMLElement} */ (target).closest("[data-cmid]")?.getAttribute("data-cmid");
      if (action !== undefined && cmid) onAction(action, cmid);
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "End" && event.target === box) {
        event.preventDefault();
        void this.toEnd();
      }
    });
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /** @param {import("./room.js").Room} room */
  show(room) {
    this.room = room;
    room.timeline.following = true;
    this.#rows.clear();
    this.#box.replaceChildren();
    this.#box.classList.toggle("dense", room.isHot);
    this.draw();
  }

  /** To the newest message, and on with it. */
  async toEnd() {
    const { room } = this;
    if (room === null) return;
    this.#follow(room);
    if (room.timeline.atEnd) return;
    await room.reload();
    if (this.room === room) this.#follow(room);
  }

  /** @param {import("./room.js").Room} room */
  #follow(room) {
    room.timeline.following = true;
    // Now, not with the next frame: a scroll from before that is looked at then has to find the reader at the end.
    this.#draw();
  }

  #draw() {
    const { room } = this;
    if (room === null) return;
    const { timeline } = room;
    const { items } = timeline;
    this.#start = timeline.following ? Math.max(0, items.length - WINDOW) : placeOf(items, this.#firstSeq);
    this.#firstSeq = items[this.#start]?.seq ?? 0;
    const anchor = timeline.following ? null : this.#anchor();
    this.#reconcile(rowsOf(room, { start: this.#start, size: WINDOW, ...this.#view() }));
    if (timeline.following) this.#placeAtEnd();
    else if (anchor !== null) this.#box.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
    this.#tell(room);
    if (!timeline.loaded) void room.load();
    // At the very top nothing scrolls any more: what has come above is to be shown all the same.
    if (!timeline.following) this.#settle();
  }

  /** @param {import("./rows.js").Row[]} rows */
  #reconcile(rows) {
    const before = this.#rows;
    this.#rows = new Map();
    let at = this.#box.firstElementChild;
    for (const row of rows) {
      const held = before.get(row.key);
      const element = held?.look === row.look ? held.element : row.make();
      if (held !== undefined && held.element !== element) {
        if (at === held.element) at = at.nextElementSibling;
        held.element.remove();
      }
      before.delete(row.key);
      this.#rows.set(row.key, { look: row.look, element });
      if (at === element) at = at.nextElementSibling;
      else this.#box.insertBefore(element, at);
    }
    for (const { element } of before.values()) element.remove();
  }

  /** What the reader looks at, to be kept where it is: the first row on the screen that is a message. */
  #anchor() {
    const { top } = this.#box.getBoundingClientRect();
    for (const element of this.#box.querySelectorAll("[data-seq]")) {
      const place = element.getBoundingClientRect();
      if (place.bottom > top) return { element, top: place.top };
    }
    return null;
  }

  #placeAtEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#endTop = this.#box.scrollTop;
  }

  /** A reader who goes away from the end is let go at once: a draw that is due before `#settle` would put him back. */
  #onScrolled() {
    const { timeline } = this.room ?? {};
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const away = scrollTop < this.#endTop && scrollHeight - scrollTop - clientHeight >= END_PX;
    if (timeline?.loaded && timeline.following && away) {
      timeline.following = false;
      this.#seenSeq = timeline.last;
      this.draw();
    }
    this.#settle();
  }

  #onScroll() {
    const { room } = this;
    if (room === null || !room.timeline.loaded) return;
    const { timeline } = room;
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const below = scrollHeight - scrollTop - clientHeight;
    const ends = this.#start + WINDOW >= timeline.items.length;
    const wasFollowing = timeline.following;
    timeline.following = ends && timeline.atEnd && below < END_PX;
    if (wasFollowing && !timeline.following) this.#seenSeq = timeline.last;
    if (scrollTop < NEAR_PX && !timeline.following) this.#up(room);
    else if (below < NEAR_PX) this.#down(room, ends);
    if (timeline.following !== wasFollowing) this.draw();
  }

  /** @param {import("./room.js").Room} room */
  #up(room) {
    if (this.#start > 0) {
      this.#firstSeq = room.timeline.items[Math.max(0, this.#start - STEP)].seq;
      this.draw();
    } else {
      void room.loadOlder();
    }
  }

  /**
   * @param {import("./room.js").Room} room
   * @param {boolean} ends
   */
  #down(room, ends) {
    const { items } = room.timeline;
    if (!ends) {
      this.#firstSeq = items[Math.min(items.length - WINDOW, this.#start + STEP)].seq;
      this.draw();
    } else {
      void room.loadNewer();
    }
  }

  /** @param {import("./room.js").Room} room */
  #tell(room) {
    const { timeline, outgoing, isHot } = room;
    const isEmpty = timeline.items.length === 0 && outgoing.size === 0;
    this.#empty.hidden = !isEmpty;
    this.#box.setAttribute("aria-busy", String(!timeline.loaded));
    const words = isHot ? "Nobody says a word yet. Turn the crowd up." : "No messages yet. Say hello.";
    say(this.#empty, timeline.loaded ? words : this.#view().online ? "Loading…" : "Waiting for the connection…");
    const missed = timeline.following ? 0 : Math.max(0, timeline.head - this.#seenSeq);
    this.#newer.hidden = timeline.following || isEmpty;
    this.#newer.replaceChildren(
      make("span", { "aria-hidden": "true" }, "↓ "),
      missed > 0 ? many(missed, "new message") : "To the newest",
    );
    if (timeline.following) this.#onEnd();
  }
}

/**
 * The index of the first message at or above `seq`.
 * @param {import("./timeline.js").Message[]} items
 * @param {number} seq
 */
function placeOf(items, seq) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

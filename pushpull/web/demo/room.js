/** One conversation as this page holds it: its messages, what is on its way out, and how far the others are. */

import { isHot, nameOf } from "./cast.js";
import { Timeline } from "./timeline.js";

const PAGE = 60;
const TYPING_MS = 4000;
/** After a page that did not come. */
const AGAIN_MS = 2000;

/** @typedef {{cmid: string, text: string, state: "sending" | "sent" | "failed", seq: number, reason: string}} Outgoing */

export class Room {
  timeline = new Timeline();
  /** @type {Map<string, Outgoing>} cmid → a message that is not in the timeline yet. Bounded by the client's outbox. */
  outgoing = new Map();
  /** @type {Map<string, {delivered: number, read: number}>} The others, where there are few. */
  others = new Map();
  /** Above this seq all was unread when the conversation was opened; 0: nothing was. */
  newAbove = 0;
  /** The head when the conversation was opened: what is above came while one looked. */
  openedAt = 0;
  /** What was written and not sent. */
  draft = "";
  /** The newest message, for the list.
   * @type {any} */
  preview = null;
  previewSeq = 0;
  busy = false;
  /** The service was told so much was read. */
  readUpTo = 0;
  #chat;
  #changed;
  /** The page that is being fetched. */
  #underWay = Promise.resolve();
  /** @type {Map<string, number>} who types → until when */
  #typing = new Map();

  /**
   * @param {any} chat
   * @param {string} cid
   * @param {() => void} changed
   */
  constructor(chat, cid, changed) {
    this.#chat = chat;
    this.cid = cid;
    this.#changed = changed;
  }

  get isHot() {
    return isHot(this.cid);
  }

  /** As the client has it; undefined until it is listed. */
  get row() {
    return this.#chat.conversations.get(this.cid);
  }

  get title() {
    const data = this.row?.data ?? {};
    if (data.kind !== "pair") return data.title ?? this.cid;
    return nameOf(data.people.find((/** @type {string} */ uid) => uid !== this.#chat.user) ?? null);
  }

  /** The first page, once. Resolves when there is something to show; that may take until there is a connection. */
  async load() {
    if (this.timeline.loaded || this.busy) return;
    await this.#fetch(undefined, (page) => this.timeline.begin(page.messages, page));
  }

  /** How far the others are, where there are few; from then on receipts say it. */
  async loadOthers() {
    if (this.isHot || this.others.size > 0) return;
    const path = `/conversations/${encodeURIComponent(this.cid)}/members?limit=100`;
    const { members } = await this.#chat.call("GET", path).catch(() => ({ members: [] }));
    for (const member of members) if (member.user !== this.#chat.user) this.onReceipt(member);
    this.#changed();
  }

  /** The newest page again, in place of what is held; after the page that is under way. */
  async reload() {
    await this.#underWay;
    await this.#fetch(undefined, (page) => this.timeline.begin(page.messages, page));
  }

  async loadOlder() {
    const { first, more } = this.timeline;
    if (!more || first <= 1) return;
    await this.#fetch(first, (page) => this.timeline.older(page.messages, page));
  }

  async loadNewer() {
    const { last, atEnd } = this.timeline;
    if (atEnd) return;
    await this.#fetch(last + PAGE + 1, (page) => this.timeline.newer(page.messages));
  }

  /** @param {any} message */
  onMessage(message) {
    this.timeline.live(message);
    this.outgoing.delete(message.cmid);
    if (message.from !== null) this.#typing.delete(message.from);
    if (message.seq > this.previewSeq) this.#showAsNewest(message);
  }

  /** @param {string} user */
  onTyping(user) {
    this.#typing.set(user, Date.now() + TYPING_MS);
    setTimeout(this.#changed, TYPING_MS + 50);
  }

  /** @param {{user: string, delivered: number | null, read: number | null}} receipt */
  onReceipt({ user, delivered, read }) {
    const before = this.others.get(user) ?? { delivered: 0, read: 0 };
    this.others.set(user, {
      delivered: Math.max(before.delivered, delivered ?? 0, read ?? 0),
      read: Math.max(before.read, read ?? 0),
    });
  }

  get typing() {
    const now = Date.now();
    return [...this.#typing].filter(([, until]) => until > now).map(([user]) => user);
  }

  /** @param {any} message */
  #showAsNewest(message) {
    this.previewSeq = message.seq;
    this.preview = message;
  }

  /**
   * One page at a time: what is asked for while one is under way is asked for again by the next scroll.
   * @param {number | undefined} before
   * @param {(page: any) => void} use
   */
  async #fetch(before, use) {
    if (this.busy) return;
    this.busy = true;
    this.#changed();
    this.#underWay = this.#get(before, use);
    await this.#underWay;
  }

  /**
   * @param {number | undefined} before
   * @param {(page: any) => void} use
   */
  async #get(before, use) {
    try {
      const page = await this.#chat.history(this.cid, { before, limit: PAGE });
      use(page);
      const newest = page.messages.at(-1);
      if (newest !== undefined && newest.seq > this.previewSeq) this.#showAsNewest(newest);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS)); // whoever still wants it asks again then
    } finally {
      this.busy = false;
      this.#changed();
    }
  }
}

/** The list of conversations: one listbox, moved through with the arrows, opened with Enter or a click. */

import { crowdSize, hueOf, isHot, nameOf } from "./cast.js";
import { byId, make, say } from "./elements.js";
import { many, textOf } from "./words.js";

const FULL = 999;

export class Side {
  #box = byId("conversations");
  #open;
  /** @type {Map<string, {option: HTMLElement, title: HTMLElement, line: HTMLElement, badge: HTMLElement}>} */
  #options = new Map();
  /** The option that the arrows stand on. */
  #active = "";

  /** @param {(cid: string) => void} open */
  constructor(open) {
    this.#open = open;
    this.#box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#onKey(event));
    this.#box.addEventListener("focus", () => this.#move(this.#active || [...this.#options.keys()][0]));
    this.#box.addEventListener("click", (/** @type {MouseEvent} */ { target }) => {
      const cid = /** @type {HTMLElement} */ (target).closest("[data-cid]")?.getAttribute("data-cid");
      if (cid) this.#open(cid);
    });
  }

  /**
   * @param {import("./room.js").Room[]} rooms in the order to show them
   * @param {string | null} current
   * @param {string} me
   */
  show(rooms, current, me) {
    for (const [cid, { option }] of this.#options) {
      if (rooms.some((room) => room.cid === cid)) continue;
      option.remove();
      this.#options.delete(cid);
    }
    rooms.forEach((room, place) => this.#showOne(room, place, { current, me }));
  }

  /** @param {string} cid is open now */
  select(cid) {
    this.#active = cid;
    this.#box.setAttribute("aria-activedescendant", idOf(cid));
  }

  focus() {
    this.#box.focus();
  }

  /**
   * @param {import("./room.js").Room} room
   * @param {number} place
   * @param {{current: string | null, me: string}} view
   */
  #showOne(room, place, { current, me }) {
    const { cid, title } = room;
    const isSeen = cid === current && room.timeline.following && document.visibilityState === "visible";
    const unread = isSeen ? 0 : (room.row?.unread ?? 0);
    const parts = this.#options.get(cid) ?? this.#make(room);
    if (this.#box.children[place] !== parts.option) this.#box.insertBefore(parts.option, this.#box.children[place] ?? null);
    say(parts.title, title);
    say(parts.line, lineOf(room, me));
    say(parts.badge, unread > FULL ? `${FULL}+` : String(unread));
    parts.badge.hidden = unread === 0;
    parts.option.setAttribute("aria-selected", String(cid === current));
    parts.option.setAttribute("aria-label", unread === 0 ? title : `${title}, ${many(unread, "unread message")}`);
  }

  /** @param {import("./room.js").Room} room */
  #make({ cid, title, row }) {
    const isPair = row?.data?.kind === "pair";
    const other = isPair ? row.data.people.find((/** @type {string} */ uid) => nameOf(uid) === title) : null;
    const parts = {
      title: make("span", { class: "option-title" }),
      line: make("span", { class: "option-line" }),
      badge: make("span", { class: "badge" }),
    };
    const icon = () => make("img", { src: `demo/${isHot(cid) ? "horn" : "cup"}.svg`, alt: "", width: "24", height: "24" });
    const face = make("span", { class: "face", "data-hue": isPair ? hueOf(other) : "group" }, isPair ? title[0] : icon());
    const option = make("div", { id: idOf(cid), class: "option", role: "option", "data-cid": cid }, face, ...Object.values(parts));
    const made = { option, ...parts };
    this.#options.set(cid, made);
    return made;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const cids = [...this.#box.children].map((option) => option.getAttribute("data-cid") ?? "");
    const place = cids.indexOf(this.#active);
    const steps = new Map([
      ["ArrowDown", place + 1],
      ["ArrowUp", place - 1],
      ["Home", 0],
      ["End", cids.length - 1],
    ]);
    const step = steps.get(event.key);
    if (step !== undefined) this.#move(cids[Math.min(cids.length - 1, Math.max(0, step))]);
    else if (event.key === "Enter" || event.key === " ") this.#open(this.#active);
    else return;
    event.preventDefault();
  }

  /** @param {string | undefined} cid */
  #move(cid) {
    if (cid === undefined) return;
    this.select(cid);
    for (const [of, { option }] of this.#options) option.classList.toggle("active", of === cid);
    this.#options.get(cid)?.option.scrollIntoView({ block: "nearest" });
  }
}

/** @param {string} cid */
const idOf = (cid) => `option ${cid}`.replaceAll(/[^A-Za-z0-9]/g, "-");

/**
 * What stands under the title: the newest message where it is known.
 * @param {import("./room.js").Room} room
 * @param {string} me
 */
function lineOf(room, me) {
  const { preview, previewSeq, row } = room;
  if (room.draft !== "") return `Draft: ${room.draft}`;
  if (preview === null || row === undefined || previewSeq < row.head) {
    return row?.unread > 0 ? many(row.unread, "new message") : (room.isHot ? many(crowdSize(), "member") : "Nothing yet");
  }
  const who = preview.from === me ? "You" : nameOf(preview.from);
  return row.data?.kind === "pair" && preview.from !== me ? textOf(preview) : `${who}: ${textOf(preview)}`;
}

/** The rows of a log: what stands in a window of a room, and an element for each. */

import { hueOf, initialOf, nameOf } from "./cast.js";
import { make } from "./elements.js";
import { clock, count, day, list, textOf } from "./words.js";

const TOGETHER_MS = 5 * 60_000;

/**
 * A row: `key` says which it is, `look` all that it depends on. A row whose look is the same is left as it is.
 * @typedef {{key: string, look: string, make: () => HTMLElement}} Row
 */

/**
 * The rows of `room` from index `start` on, at most `size` messages.
 * @param {import("./room.js").Room} room
 * @param {{start: number, size: number, me: string, online: boolean}} view
 * @returns {Row[]}
 */
export function rowsOf(room, { start, size, me, online }) {
  const { timeline } = room;
  const { items } = timeline;
  const shown = items.slice(start, start + size);
  const notes = room.isHot ? notesOfCrowd(room, shown, me) : notesOfFew(room, shown, me);
  const rows = start === 0 ? [topRow(room)] : [];
  shown.forEach((message, place) => {
    const before = items[start + place - 1];
    const isNewDay = before === undefined || day(before.ts) !== day(message.ts);
    if (isNewDay && (before !== undefined || !timeline.more)) rows.push(lineRow(`day ${message.seq}`, day(message.ts)));
    const isFirstNew = room.newAbove > 0 && message.seq > room.newAbove && (before?.seq ?? 0) <= room.newAbove;
    if (isFirstNew && before !== undefined) rows.push(lineRow("new", "New", "line new"));
    const isSame = !isNewDay && !isFirstNew && before?.from === message.from && message.ts - before.ts < TOGETHER_MS;
    rows.push(messageRow(message, { isMine: message.from === me, isSame, note: notes.get(message.seq) ?? "" }));
  });
  const isEnd = start + size >= items.length && timeline.atEnd;
  return isEnd ? [...rows, ...outgoingRows(room, online)] : rows;
}

/** @param {import("./room.js").Room} room */
function topRow({ timeline, busy, isHot }) {
  if (timeline.more && timeline.first > timeline.floor) return lineRow("top", busy ? "Loading…" : "Older messages", "line top");
  if (timeline.floor > 1) return lineRow("top", "What was before is not kept any more", "line top");
  return lineRow("top", isHot ? "The gates opened" : "This is where it began", "line top");
}

/**
 * @param {string} key
 * @param {string} words
 * @param {string} [look]
 * @returns {Row}
 */
const lineRow = (key, words, look = "line") => ({
  key,
  look: look + words,
  make: () => make("p", { class: look }, words),
});

/**
 * @param {import("./timeline.js").Message} message
 * @param {{isMine: boolean, isSame: boolean, note: string}} how
 * @returns {Row}
 */
function messageRow(message, { isMine, isSame, note }) {
  const { seq, from, ts } = message;
  return {
    key: `seq ${seq}`,
    look: `${message.id} ${isSame} ${note}`,
    make: () =>
      make(
        "div",
        {
          class: `row${isMine ? " mine" : ""}${isSame ? " same" : ""}`,
          role: "article",
          "data-seq": String(seq),
          "data-hue": hueOf(from),
          "data-initial": initialOf(from),
        },
        make("span", { class: "who" }, isMine ? "You" : nameOf(from)),
        make("time", { datetime: new Date(ts).toISOString() }, clock(ts)),
        make("p", { class: "text" }, textOf(message)),
        ...(note === "" ? [] : [make("span", { class: "note" }, note)]),
      ),
  };
}

/**
 * @param {import("./room.js").Room} room
 * @param {boolean} online
 */
function outgoingRows({ outgoing }, online) {
  return [...outgoing.values()].map(({ cmid, text, state, reason }) => {
    const failed = state === "failed";
    const note = failed ? `Not sent: ${reason}` : state === "sent" ? "Sent" : online ? "Sending…" : "Waits for the connection";
    return {
      key: `cmid ${cmid}`,
      look: state + note,
      make: () =>
        make(
          "div",
          { class: `row mine ${state}`, role: "article", "data-cmid": cmid, "data-state": state },
          make("span", { class: "who" }, "You"),
          make("p", { class: "text" }, text),
          make("span", { class: "note" }, note),
          ...(failed ? [button("again", "Try again"), button("discard", "Discard")] : []),
        ),
    };
  });
}

/**
 * @param {string} action
 * @param {string} words
 */
const button = (action, words) => make("button", { type: "button", class: "link", "data-action": action }, words);

/**
 * Under one's own messages: who has read up to here, and of the last one who has it.
 * @param {import("./room.js").Room} room
 * @param {import("./timeline.js").Message[]} shown
 * @param {string} me
 * @returns {Map<number, string>}
 */
function notesOfFew({ others }, shown, me) {
  const mine = shown.filter(({ from }) => from === me).map(({ seq }) => seq);
  const last = mine.at(-1);
  if (last === undefined) return new Map();
  /** @type {Map<number, string[]>} */
  const seen = new Map();
  const got = [];
  for (const [user, { delivered, read }] of others) {
    const upTo = mine.filter((seq) => seq <= read).at(-1);
    if (upTo !== undefined) seen.set(upTo, [...(seen.get(upTo) ?? []), nameOf(user)]);
    if (delivered >= last && read < last) got.push(nameOf(user));
  }
  const notes = new Map([...seen].map(([seq, names]) => [seq, `Seen by ${list(names.sort())}`]));
  if (!notes.has(last)) notes.set(last, got.length > 0 ? `Delivered to ${list(got.sort())}` : "Sent");
  return notes;
}

/**
 * @param {import("./room.js").Room} room
 * @param {import("./timeline.js").Message[]} shown
 * @param {string} me
 * @returns {Map<number, string>}
 */
function notesOfCrowd(room, shown, me) {
  const last = shown.findLast(({ from }) => from === me);
  return new Map(last === undefined ? [] : [[last.seq, `Stored once for all, as number ${count(last.seq)}`]]);
}

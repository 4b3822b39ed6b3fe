/** Above the log and the list: who one is, what conversation this is, who types, how the connection is. */

import { crowdSize, hueOf, nameOf } from "./cast.js";
import { byId, say } from "./elements.js";
import { list, many } from "./words.js";

const STATES = new Map([
  ["connecting", "Connecting…"],
  ["cut", "Cut off, by you"],
  ["open", "Connected"],
  ["closed", "Closed"],
]);

/**
 * @param {string} me
 * @param {import("./cast.js").Person} other
 */
export function showMe(me, other) {
  say(byId("me-name"), nameOf(me));
  const face = byId("me-face");
  say(face, nameOf(me)[0]);
  face.dataset.hue = hueOf(me);
  const second = byId("second");
  say(second, `Open a second window as ${other.name}`);
  second.href = `?as=${encodeURIComponent(other.user.replace(/^demo:/, ""))}${location.hash}`;
}

/**
 * @param {string} state
 * @param {{message: string}} [error]
 */
export function showState(state, error) {
  const line = byId("connection");
  line.dataset.state = state;
  say(line, error === undefined ? (STATES.get(state) ?? state) : `Closed: ${error.message}`);
}

export class ThreadHead {
  /** @param {import("./room.js").Room} room */
  show(room) {
    say(byId("title"), room.title);
    say(byId("subtitle"), subtitleOf(room));
  }

  /** @param {string[]} names */
  showTyping(names) {
    const words = names.length === 0 ? "" : `${list(names)} ${names.length === 1 ? "is" : "are"} typing…`;
    say(byId("typing"), words);
  }
}

/** @param {import("./room.js").Room} room */
function subtitleOf({ isHot, others, row }) {
  if (isHot) return many(crowdSize(), "member");
  if (row?.data?.kind === "pair") return "Just the two of you";
  return others.size === 0 ? "A few people" : `You, ${list([...others.keys()].map(nameOf).sort())}`;
}

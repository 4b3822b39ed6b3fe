/**
 * Notifications of users who are away: what is due, who works on it, what was given up, and another chance for that.
 */

import { get, post } from "./api.js";
import { linkTo } from "./conversations.js";
import { carryOut, h, show, sure, table } from "./dom.js";
import { count, moment } from "./format.js";

const EVERY_MS = 2000;
const LETTERS = 100;

export const offline = {
  title: "Offline queue",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, every, refused }) {
    const off = h(
      "p",
      { class: "health warn", hidden: true },
      "Nobody is notified by the node that answers: its offline.webhook_url is not set.",
    );
    const tiles = h("dl", { class: "tiles four" });
    const letters = lettersTable((letter) => requeue([letter.id]));
    const all = h("button", { class: "main", hidden: true }, "Requeue all");
    const more = h("p", { class: "soft" });
    place.append(off, tiles, h("h2", {}, "Dead letters"), letters.element, more, all);

    async function look() {
      const found = await get(`v1/offline?limit=${LETTERS}`, signal);
      off.hidden = found.enabled;
      show(
        tiles,
        tile("Due later", found.due),
        tile("Waiting", found.waiting),
        tile("Being worked on", found.pending),
        tile("Given up", found.dead, found.dead > 0),
      );
      letters.update(found.letters);
      all.hidden = found.dead < 2;
      show(
        more,
        found.dead > found.letters.length ? `The newest ${count(found.letters.length)} of ${count(found.dead)}.` : "",
      );
    }

    /** @param {string[] | null} ids */
    async function requeue(ids) {
      if (
        !ids &&
        !(await sure(
          "Requeue all dead letters?",
          "Each is due at once and tried again from the beginning.",
          "Requeue all",
        ))
      )
        return;
      const act = async () => {
        const { requeued } = await post("v1/offline/requeue", ids ? { ids } : {});
        return `${count(requeued)} requeued`;
      };
      await carryOut(act, { look, failing: "Not requeued", refused });
    }

    all.addEventListener("click", () => requeue(null));
    every(EVERY_MS, look);
  },
};

/**
 * @param {string} name
 * @param {number} value
 * @param {boolean} [bad]
 */
const tile = (name, value, bad) =>
  h("div", { class: bad ? "tile bad" : "tile" }, h("dt", {}, name), h("dd", {}, count(value)));

/** @param {(letter: any) => void} requeue */
function lettersTable(requeue) {
  const buttons = new Map();
  /** @param {any} row */
  function buttonFor(row) {
    if (!buttons.has(row.id)) {
      buttons.set(
        row.id,
        h(
          "button",
          { class: "quiet", type: "button", "aria-label": `Requeue ${row.cid}`, on: { click: () => requeue(row) } },
          "Requeue",
        ),
      );
    }
    return buttons.get(row.id);
  }
  return table(
    "Notifications that were given up, the newest first",
    [
      { name: "Conversation", wide: true, cell: (row) => linkTo(row.cid) },
      { name: "Given up", cell: (row) => moment(row.at) },
      { name: "Tries", number: true, cell: (row) => count(row.tries) },
      { name: "Why", wide: true, cell: (row) => row.why },
      { name: "Another chance", cell: buttonFor },
    ],
    (row) => row.id,
    "None was given up.",
  );
}

/** Where a user is connected, and ending that. */

import { del, get, part } from "./api.js";
import { finder } from "./conversations.js";
import { carryOut, h, show, sure, table } from "./dom.js";
import { count, moment, span } from "./format.js";

const EVERY_MS = 3000;

export const sessions = {
  title: "Sessions",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, every, refused, one }) {
    place.append(
      finder(
        "uid",
        "Find a user by id",
        "Find",
        (uid) => {
          location.hash = `#/sessions/${encodeURIComponent(uid)}`;
        },
        one,
      ),
    );
    if (!one) {
      place.append(
        h(
          "p",
          { class: "soft" },
          "Sessions are listed by user: devices that are connected, on which node, and since when.",
        ),
      );
      return;
    }
    const unread = h("p", { class: "soft" });
    const missing = h("p", { class: "problem", role: "alert" });
    const list = sessionsTable((session) => kick(session));
    const all = h("button", { class: "grave", hidden: true }, "End all sessions");
    place.append(unread, missing, list.element, all);

    async function look() {
      const path = `v1/users/${part(one)}`;
      try {
        const [found, badge] = await Promise.all([get(`${path}/sessions`, signal), get(`${path}/unread`, signal)]);
        list.update(found.sessions);
        all.hidden = found.sessions.length < 2;
        show(
          unread,
          `${count(badge.total)} unread in ${count(badge.conversations)} conversations; ${count(badge.mentions)} of these mention the user.`,
        );
        show(missing);
      } catch (error) {
        const { code, message } = /** @type {import("./api.js").Refused} */ (error);
        if (code !== "invalid") throw error;
        show(missing, `${message}.`);
      }
    }

    /** @param {any} session */
    async function kick(session) {
      const what = session ? `on ${session.device}` : "on every device";
      if (
        !(await sure(
          `End ${session ? "this session" : "all sessions"} of ${one}?`,
          `The connection ${what} is closed, and the app does not connect again by itself.`,
          "End",
        ))
      )
        return;
      const act = async () => {
        await del(`v1/users/${part(one)}/sessions${session ? `/${part(session.id)}` : ""}`);
        return `Ended ${what}`;
      };
      await carryOut(act, { look, failing: "Not ended", refused });
    }

    all.addEventListener("click", () => kick(null));
    every(EVERY_MS, look);
  },
};

/** @param {(session: any) => void} kick */
function sessionsTable(kick) {
  const buttons = new Map();
  /** @param {any} row */
  function buttonFor(row) {
    if (!buttons.has(row.id)) {
      buttons.set(
        row.id,
        h(
          "button",
          {
            class: "grave",
            type: "button",
            "aria-label": `End the session on ${row.device}`,
            on: { click: () => kick(row) },
          },
          "End",
        ),
      );
    }
    return buttons.get(row.id);
  }
  return table(
    "Open sessions",
    [
      { name: "Device", wide: true, cell: (row) => h("strong", {}, row.device) },
      { name: "App", cell: (row) => row.client || "–" },
      { name: "Node", cell: (row) => h("code", {}, row.node) },
      {
        name: "Connected",
        cell: (row) =>
          h(
            "time",
            { datetime: new Date(row.connected_at).toISOString(), title: moment(row.connected_at) },
            `${span(Date.now() - row.connected_at)} ago`,
          ),
      },
      { name: "Session", cell: (row) => h("code", { class: "long" }, row.id) },
      { name: "End", cell: buttonFor },
    ],
    (row) => row.id,
    "This user is not connected.",
  );
}

/** The busiest conversations with their modes, and one of them by itself. Never what is said in it. */

import { get, part, put } from "./api.js";
import { h, show, table, toast } from "./dom.js";
import { count, figure, perSecond, span } from "./format.js";

const EVERY_MS = 2000;
const PENDING_MS = 5000; // counted over all members each time
const MEMBERS_PAGE = 50;
const PENDING_MOST = 100;
const SETTINGS = { auto: "auto: as the policy says", push: "push: to every device", notify: "notify: devices pull" };
/** @type {Record<string, string>} */
const WAYS = { pushed: "pushed", gathered: "gathered", notified: "notified", told: "told now and then" };

/** @param {string} cid */
export const linkTo = (cid) => h("a", { href: `#/conversations/${encodeURIComponent(cid)}` }, cid);
/** @param {string} uid */
const linkToUser = (uid) => h("a", { href: `#/sessions/${encodeURIComponent(uid)}` }, uid);
/** @param {string} mode */
export const badge = (mode) => h("span", { class: `badge ${mode}` }, mode);

/** A table of busy conversations. */
export function busyTable(empty = "No conversation that somebody is connected to had a message lately.") {
  return table(
    "Conversations with messages lately, the busiest first",
    [
      { name: "Conversation", wide: true, cell: (row) => linkTo(row.cid) },
      { name: "Rate", number: true, cell: (row) => perSecond(row.rate) },
      { name: "Members", number: true, cell: (row) => count(row.members) },
      {
        name: "Mode",
        cell: (row) => [
          badge(row.mode),
          row.setting !== "auto" && h("small", {}, " set"),
          row.busy && " ",
          row.busy && h("span", { class: "badge warn" }, "busy"),
        ],
      },
      { name: "Devices", cell: (row) => waysOf(row) },
      { name: "Why", wide: true, cell: (row) => h("span", { class: "soft" }, row.why) },
    ],
    (row) => row.cid,
    empty,
  );
}

/** @param {any} row */
function waysOf(row) {
  const said = Object.entries(WAYS)
    .filter(([way]) => row[way])
    .map(([way, name]) => `${count(row[way])} ${name}`);
  return said.join(", ") || "none connected";
}

export const conversations = {
  title: "Conversations",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, every }) {
    const busy = busyTable();
    place.append(
      finder("cid", "Open a conversation by its id", "Open", (cid) => {
        location.hash = `#/conversations/${encodeURIComponent(cid)}`;
      }),
      h("h2", {}, "Busiest now"),
      busy.element,
    );
    every(EVERY_MS, async () => busy.update((await get("v1/conversations?limit=50", signal)).conversations));
  },
};

/**
 * A field and a button that go to one conversation, or one user.
 * @param {string} id
 * @param {string} label
 * @param {string} action
 * @param {(value: string) => void} found
 * @param {string} [value]
 */
export function finder(id, label, action, found, value = "") {
  const field = h("input", {
    id,
    value,
    type: "search",
    required: true,
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 128,
  });
  const form = h(
    "form",
    { class: "finder", role: "search" },
    h("label", { for: id }, label),
    h("div", { class: "actions" }, field, h("button", { class: "main" }, action)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    found(field.value.trim());
  });
  return form;
}

export const conversation = {
  title: "Conversation",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, every, refused, one }) {
    const facts = h("dl", { class: "tiles" });
    const force = h("div", { class: "card force" });
    const mode = modeForm(one, () => look().catch(refused));
    const lacking = h("p", { class: "soft", role: "status" });
    const pending = pendingTable();
    const members = membersTable();
    const more = h("button", { class: "quiet", hidden: true }, "More members");
    const missing = h("p", { class: "empty", role: "alert", hidden: true });
    const found = h(
      "div",
      { hidden: true },
      force,
      facts,
      mode.element,
      h("h2", {}, "Pending"),
      lacking,
      pending.element,
      h("h2", {}, "Members"),
      members.element,
      more,
    );
    place.append(h("p", { class: "back" }, h("a", { href: "#/conversations" }, "← All conversations")), missing, found);
    let head = 0;
    /** @type {any[]} */
    let listed = [];
    /** @type {string | null} */
    let next = null;

    async function look() {
      const path = `v1/conversations/${part(one)}`;
      let state;
      try {
        state = await get(path, signal);
      } catch (error) {
        gone(error);
        return;
      }
      missing.hidden = !(found.hidden = false);
      head = state.head;
      show(facts, ...factsOf(state));
      show(force, ...forceOf(state));
      mode.update(state.settings.mode);
    }

    /** @param {any} error */
    function gone(error) {
      if (error.status !== 404 && error.code !== "invalid") throw error;
      show(missing, `${error.message}.`);
      missing.hidden = !(found.hidden = true);
    }

    async function lack() {
      const path = `v1/conversations/${part(one)}`;
      const [sum, { rows }] = await Promise.all([
        get(`${path}/pending`, signal),
        get(`${path}/pending?limit=${PENDING_MOST}`, signal),
      ]);
      show(
        lacking,
        sum.count
          ? `Members lack ${count(sum.count)} messages in all, seqs ${sum.min} to ${sum.max}.`
          : "Nobody lacks anything.",
      );
      pending.update(rows);
    }

    /** @param {string | null} after */
    async function page(after) {
      const query = new URLSearchParams({ limit: String(MEMBERS_PAGE), ...(after ? { after } : {}) });
      const answer = await get(`v1/conversations/${part(one)}/members?${query}`, signal);
      listed = after ? [...listed, ...answer.members] : answer.members;
      next = answer.next;
      members.update(listed.map((member) => ({ ...member, behind: Math.max(0, head - member.delivered) })));
      more.hidden = !next;
    }

    more.addEventListener("click", () => page(next).catch(refused));
    every(EVERY_MS, async () => {
      await look();
      if (!found.hidden && listed.length <= MEMBERS_PAGE) await page(null);
    });
    every(PENDING_MS, async () => {
      if (missing.hidden) await lack().catch(gone);
    });
  },
};

/** @param {any} state */
function factsOf(state) {
  const tile = (/** @type {string} */ name, /** @type {string} */ value) =>
    h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value));
  return [
    tile("Members", count(state.members)),
    tile("Head", count(state.head)),
    tile("Kept from", count(state.floor)),
    tile("Rate", perSecond(state.rate)),
    tile("History", state.settings.history),
  ];
}

/** @param {any} state */
function forceOf(state) {
  const way = (/** @type {string} */ name, /** @type {any} */ it) =>
    h("li", {}, h("strong", {}, `${name}: ${WAYS[it.way] ?? it.way}`), h("span", { class: "soft" }, it.why));
  return [
    h("p", { class: "now" }, badge(state.mode), " ", h("span", {}, state.why)),
    h("ul", {}, way("On the screen", state.on_screen), way("Not on the screen", state.off_screen)),
  ];
}

/**
 * Choosing a conversation's own mode.
 * @param {string} cid
 * @param {() => Promise<void>} done
 */
function modeForm(cid, done) {
  const choice = h(
    "select",
    { id: "mode" },
    ...Object.entries(SETTINGS).map(([value, name]) => h("option", { value }, name)),
  );
  const form = h(
    "form",
    { class: "finder" },
    h("label", { for: "mode" }, "Mode of this conversation"),
    h("div", { class: "actions" }, choice, h("button", { class: "main" }, "Set")),
  );
  /** @type {string | null} */
  let known = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await put(`v1/conversations/${part(cid)}`, { settings: { mode: choice.value } });
      toast(`Mode of ${cid}: ${choice.value}`);
      await done();
    } catch (error) {
      toast(`Not changed: ${/** @type {Error} */ (error).message}`, { bad: true });
    }
  });
  return {
    element: form,
    /** @param {string} mode */
    update(mode) {
      if (mode !== known) choice.value = known = mode; // else somebody is choosing
    },
  };
}

function pendingTable() {
  return table(
    "Ranges that members lack, the one that waits longest first",
    [
      { name: "User", wide: true, cell: (row) => linkToUser(row.user) },
      { name: "Device", cell: (row) => row.device || "–" },
      { name: "Seqs", cell: (row) => (row.first === row.last ? `${row.first}` : `${row.first} to ${row.last}`) },
      {
        name: "Deliveries",
        number: true,
        cell: (row) =>
          row.delivery_count > 1 ? h("span", { class: "badge warn" }, row.delivery_count) : figure(row.delivery_count),
      },
      { name: "Waits", number: true, cell: (row) => span(row.idle_ms) },
    ],
    (row) => `${row.user} ${row.device}`,
    "Nothing is pending.",
  );
}

function membersTable() {
  return table(
    "Members and how far they are",
    [
      { name: "User", wide: true, cell: (row) => linkToUser(row.user) },
      { name: "Role", cell: (row) => row.role },
      { name: "Joined at", number: true, cell: (row) => count(row.joined) },
      { name: "Delivered", number: true, cell: (row) => count(row.delivered) },
      { name: "Read", number: true, cell: (row) => count(row.read) },
      { name: "Behind", number: true, cell: (row) => count(row.behind) },
    ],
    (row) => row.user,
    "It has no members.",
  );
}

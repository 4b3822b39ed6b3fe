/** The delivery settings in force, where each came from, and others for them, on every node at once. */

import { get, put } from "./api.js";
import { busyTable } from "./conversations.js";
import { h, show, table, toast } from "./dom.js";

/** @typedef {(changes: Record<string, any>) => Promise<boolean>} Changed */

const EVERY_MS = 2000;
const THRESHOLD = "push_max_members";

export const policy = {
  title: "Policy",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, every, refused }) {
    const threshold = editor(THRESHOLD, "Members up to which a conversation is pushed", changed);
    const all = settingsTable(changed);
    const busy = busyTable(
      "No conversation that somebody is connected to had a message lately, so there is none to see moving.",
    );
    place.append(
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Threshold"),
        h(
          "p",
          { class: "soft" },
          "Larger conversations are notified. A change is in force on every node within two seconds; nothing is lost by it.",
        ),
        threshold.element,
      ),
      h("h2", {}, "What moves"),
      busy.element,
      h("h2", {}, "All delivery settings"),
      all.element,
    );

    /** @param {Record<string, any>} entries */
    function take(entries) {
      threshold.update(entries[THRESHOLD]);
      all.update(Object.entries(entries).map(([key, entry]) => ({ key, ...entry })));
    }

    /**
     * @param {Record<string, any>} changes
     * @returns {Promise<boolean>} whether they are in force
     */
    async function changed(changes) {
      const [[key, value]] = Object.entries(changes);
      try {
        take(await put("v1/policy", changes));
        toast(value === null ? `${key}: as each node was started` : `${key} is ${value} on every node`);
        return true;
      } catch (error) {
        const { status, message } = /** @type {import("./api.js").Refused} */ (error);
        if (status === 401) refused(error);
        toast(`Not changed: ${message}`, { bad: true });
        return false;
      }
    }

    every(EVERY_MS, async () => take(await get("v1/policy", signal)));
    every(EVERY_MS, async () => busy.update((await get("v1/conversations?limit=20", signal)).conversations));
  },
};

/**
 * Where a value came from, in a word or two.
 * @param {any} entry
 */
const originOf = (entry) => (entry.without ? "put here, on every node" : entry.origin);
/** @param {any} entry */
const belowOf = (entry) => (entry.without ? `without it ${entry.without.value} (${entry.without.origin})` : "");

/**
 * A field for one setting. It says what is in force, and leaves alone what somebody is writing.
 * @param {string} key
 * @param {string} label
 * @param {Changed} changed
 * @param {{small?: boolean}} [how]
 */
function editor(key, label, changed, { small = false } = {}) {
  const id = `${small ? "row" : "set"}-${key}`;
  const field = h("input", {
    id,
    inputmode: "decimal",
    autocomplete: "off",
    required: true,
    "aria-describedby": small ? null : `of-${key}`,
    "aria-label": small ? label : null,
  });
  const set = h("button", { class: small ? "quiet" : "main" }, "Put");
  const back = h("button", { class: "quiet", type: "button", hidden: true }, "Take back");
  const about = h("p", { class: "soft small", id: `of-${key}` });
  const form = h(
    "form",
    { class: small ? "edit" : "finder" },
    small ? null : h("label", { for: id }, label),
    h("div", { class: "actions" }, field, set, back),
    small ? null : about,
  );
  /** @type {unknown} */
  let known;
  if (small) {
    set.setAttribute("aria-label", `Put ${key}`);
    back.setAttribute("aria-label", `Take back ${key}`);
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!(await changed({ [key]: parsed(field.value) }))) field.focus();
  });
  back.addEventListener("click", async () => {
    await changed({ [key]: null });
    field.focus(); // the button is gone
  });
  return {
    element: form,
    /** @param {any} entry */
    update(entry) {
      if (entry.value !== known) field.value = known = entry.value;
      back.hidden = !entry.without;
      show(about, `In force: ${entry.value}, ${originOf(entry)}${entry.without ? `; ${belowOf(entry)}` : ""}.`);
    },
  };
}

/**
 * Numbers and words of JSON as such; all else is text, and the service says what it expects.
 * @param {string} text
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {Changed} changed */
function settingsTable(changed) {
  const editors = new Map();
  /** @param {any} row */
  function editorOf(row) {
    if (!editors.has(row.key)) editors.set(row.key, editor(row.key, row.key, changed, { small: true }));
    return editors.get(row.key);
  }
  const made = table(
    "Delivery settings",
    [
      { name: "Setting", wide: true, cell: (row) => h("code", {}, row.key) },
      { name: "In force", number: true, cell: (row) => String(row.value) },
      { name: "From", cell: (row) => [originOf(row), row.without ? h("small", { class: "below" }, belowOf(row)) : ""] },
      { name: "Change", wide: true, cell: (row) => editorOf(row).element },
    ],
    (row) => row.key,
    "",
  );
  return {
    element: made.element,
    /** @param {any[]} rows */
    update(rows) {
      for (const row of rows) editorOf(row).update(row);
      made.update(rows);
    },
  };
}

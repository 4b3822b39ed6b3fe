/** Elements, made of text and never of markup: whatever the service answers is shown as it is. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props`: attributes by name; `class`; `on` with listeners; true and false for attributes without a value.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/**
 * The same for a part of a picture.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | number | null | undefined | false)} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function s(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

/**
 * @template {Element} T
 * @param {T} element
 * @param {Record<string, any>} props
 * @param {any[]} children
 * @returns {T}
 */
function filled(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

/**
 * @param {any[]} children
 * @returns {Node[]}
 */
const nodes = (children) =>
  children
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));

/**
 * Put `children` in place of what is there, unless it says the same already: focus and selection stay.
 * @param {Element} element
 * @param {...any} children
 */
export function show(element, ...children) {
  const wanted = nodes(children);
  const there = element.childNodes;
  const same =
    wanted.length === there.length && wanted.every((child, i) => child === there[i] || child.isEqualNode(there[i]));
  if (!same) element.replaceChildren(...wanted);
}

/**
 * A table whose rows stay the same elements as long as they are about the same thing, so that who is in one stays
 * there.
 *
 * @param {string} caption what it lists, for those who hear it
 * @param {{name: string, cell: (row: any) => any, number?: boolean, wide?: boolean}[]} columns `cell` gives text or
 *   nodes
 * @param {(row: any) => string} keyOf
 * @param {string} empty what is said where there are no rows
 */
export function table(caption, columns, keyOf, empty) {
  const body = h("tbody", { role: "rowgroup" });
  const nothing = h("p", { class: "empty" }, empty);
  const heads = columns.map((column) =>
    h("th", { scope: "col", role: "columnheader", class: column.number && "number" }, column.name),
  );
  const whole = h(
    "table",
    { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    body,
  );
  const element = h("div", { class: "listing", tabindex: "-1" }, whole, nothing);
  const rows = new Map();

  /** @param {any[]} list */
  function update(list) {
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    const keys = new Set(list.map(keyOf));
    for (const [key, row] of rows) {
      if (!keys.has(key)) {
        row.element.remove();
        rows.delete(key);
      }
    }
    list.forEach((value, at) => {
      const row = rows.get(keyOf(value)) ?? added(keyOf(value));
      columns.forEach((column, n) => show(row.cells[n], ...[column.cell(value)].flat()));
      if (body.children[at] !== row.element) body.insertBefore(row.element, body.children[at] ?? null);
    });
    whole.hidden = list.length === 0;
    nothing.hidden = list.length > 0;
    // A row that was moved has lost the focus; one that is gone leaves it to the list, not to the top of the page.
    if (focused && focused !== document.activeElement)
      (focused.isConnected ? /** @type {HTMLElement} */ (focused) : element).focus();
  }

  /** @param {string} key */
  function added(key) {
    const cells = columns.map((column) =>
      h("td", {
        role: "cell",
        "data-label": column.name,
        class: [column.number && "number", column.wide && "wide"].filter(Boolean).join(" "),
      }),
    );
    const row = { cells, element: h("tr", { role: "row" }, ...cells) };
    rows.set(key, row);
    return row;
  }

  whole.hidden = nothing.hidden = true; // until it is known
  return { element, update };
}

/**
 * Ask before something is done that cannot be taken back. True: yes.
 * @param {string} title
 * @param {string} text
 * @param {string} action
 * @returns {Promise<boolean>}
 */
export function sure(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { "aria-labelledby": "sure-title" },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "sure-title" }, title),
        h("p", {}, text),
        h(
          "div",
          { class: "actions" },
          h("button", { value: "no", class: "quiet", autofocus: true }, "Cancel"),
          h("button", { value: "yes", class: "grave" }, action),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Say in passing that something was done, or was not.
 * @param {string} text
 * @param {{bad?: boolean}} [how]
 */
export function toast(text, { bad = false } = {}) {
  const said = h("p", { class: bad ? "toast bad" : "toast" }, text);
  /** @type {HTMLElement} */ (document.getElementById("toasts")).append(said);
  setTimeout(() => said.remove(), bad ? 8000 : 4000);
}

/**
 * Do what was asked for, say what came of it, and show how things stand then; or say why not.
 * @param {() => Promise<string>} act what came of it, in words
 * @param {{look: () => Promise<void>, failing: string, refused: (error: Error) => void}} page
 */
export async function carryOut(act, { look, failing, refused }) {
  try {
    toast(await act());
    await look();
  } catch (error) {
    const { status, message } = /** @type {import("./api.js").Refused} */ (error);
    if (status === 401) refused(/** @type {Error} */ (error));
    else toast(`${failing}: ${message}`, { bad: true });
  }
}

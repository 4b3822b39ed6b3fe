/** Elements of the page, found and made. Text goes in as text: nothing in this page is ever read as markup. */

/**
 * The element with this id.
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes and children; a child that is no element becomes text.
 * @param {string} tag
 * @param {Record<string, string | boolean | null>} attributes `true` is set, null and `false` are left out
 * @param {(Node | string)[]} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * Set text only where it differs: selections and screen readers are left alone.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Gather calls and run `work` once with the next frame the browser draws.
 * @param {() => void} work
 */
export function onceAFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // Hidden pages draw nothing; what is due then is due when they are seen.
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

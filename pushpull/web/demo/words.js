/** Numbers, times and names as people read them. */

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const NUMBER = new Intl.NumberFormat("en");

/** @param {number} ms */
export const clock = (ms) => CLOCK.format(ms);

/** @param {number} ms */
export function day(ms) {
  const today = new Date().toDateString();
  return new Date(ms).toDateString() === today ? "Today" : DAY.format(ms);
}

/** @param {number} n */
export const count = (n) => NUMBER.format(n);

/**
 * `3 messages`, `1 message`.
 * @param {number} n
 * @param {string} noun
 */
export const many = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** @param {number} n */
export function bytes(n) {
  if (n < 1024) return `${count(n)} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(1)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

/** @param {number} ms */
export function milliseconds(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/**
 * `Ada, Grace and Alan`.
 * @param {string[]} names
 */
export const list = (names) => new Intl.ListFormat("en").format(names);

/**
 * The text of a message, whatever its sender put into it.
 * @param {{body: any}} message
 */
export function textOf({ body }) {
  if (typeof body === "string") return body;
  if (typeof body?.text === "string") return body.text;
  return JSON.stringify(body);
}

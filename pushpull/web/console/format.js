/** Figures as people read them. */

const WHOLE = new Intl.NumberFormat("en");
const FINE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/**
 * A count.
 * @param {number} value
 */
export const count = (value) => WHOLE.format(value);

/**
 * A rate or a time: three digits that matter, none after the point where it is large.
 * @param {number | null | undefined} value
 */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 100 ? WHOLE.format(Math.round(value)) : FINE.format(value);
}

/** @param {number | null | undefined} value */
export const perSecond = (value) => `${figure(value)}/s`;
/** @param {number | null | undefined} value */
export const ms = (value) => (value === null || value === undefined ? "–" : `${figure(value)} ms`);
/** @param {number} value */
export const share = (value) => `${Math.round(value * 100)} %`;

/**
 * A length of time: 5 s, 3 min, 2 h, 4 days.
 * @param {number} milliseconds
 */
export function span(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/**
 * A moment, to the second, in the reader's own time.
 * @param {number | string} at
 */
export const moment = (at) => new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

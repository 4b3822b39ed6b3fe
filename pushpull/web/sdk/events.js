/** What a frame says, as the owner of a chat sees it. */

import { invalid, PushpullError } from "./errors.js";

/** @typedef {import("./frames.js").Frame} Frame */

/**
 * An `error` frame as an error.
 * @param {Frame} frame
 */
export function errorOf({ code, message, temporary, retry_after_ms: retryAfterMs }) {
  const error = new PushpullError(code, message ?? code, { retryAfterMs: retryAfterMs ?? null });
  error.temporary ||= temporary === true;
  return error;
}

/**
 * The item of a page, as the message a caller sees.
 * @param {string} cid
 * @param {Frame} item
 */
export function messageOf(cid, item) {
  return {
    type: "message",
    cid,
    id: item.id,
    seq: item.seq,
    ts: item.ts,
    from: item.from ?? null,
    cmid: item.cmid,
    kind: item.kind,
    body: item.body,
    quiet: item.quiet === true,
    mentions: item.mentions ?? [],
    ref: item.ref ?? null,
    edited: item.edited ?? null,
  };
}

/**
 * The answer to a request for history, as a caller sees it.
 * @param {string} cid
 * @param {Frame} frame
 */
export function historyOf(cid, frame) {
  if (frame.type !== "history") throw invalid(`the service answered a history request with ${frame.type}`);
  const messages = frame.items.map((/** @type {Frame} */ item) => messageOf(cid, item));
  return { messages, floor: frame.floor ?? 1, more: frame.more === true };
}

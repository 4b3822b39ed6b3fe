/**
 * Frames as text and as objects. Reading is lenient, as the contract asks: unknown types, fields, kinds and reasons pass. Only
 * what is not a frame at all, or lacks what its type cannot be without, is refused.
 */

import { invalid, LinkClosed, PushpullError } from "./errors.js";

/** @typedef {Record<string, any>} Frame */

/** @type {Record<string, Record<string, string>>} What the handlers lean on; everything else has a neutral value. */
const REQUIRED = {
  welcome: { session: "string", user: "string" },
  sync: { conversations: "array" },
  messages: { cid: "string", after: "number", upto: "number", upto_id: "string", items: "array", head: "number" },
  history: { cid: "string", items: "array" },
  notice: { cid: "string", head: "number" },
  sent: { cid: "string", cmid: "string", id: "string" },
  cursors: { cid: "string", delivered: "number", read: "number", unread: "number", count: "number" },
  receipt: { cid: "string", user: "string" },
  signal: { cid: "string" },
  reset: { cid: "string", reason: "string", pos: "string" },
  conversation: { cid: "string", change: "string" },
  error: { code: "string" },
};

/**
 * The frame that a text holds.
 * @param {unknown} text
 * @returns {Frame}
 * @throws {LinkClosed} 1002 for what is not a frame: the connection is of no use.
 */
export function parse(text) {
  let frame;
  try {
    frame = JSON.parse(/** @type {string} */ (text));
  } catch {
    throw new LinkClosed(1002, "the service sent what is not JSON");
  }
  if (kindOf(frame?.type) !== "string") throw new LinkClosed(1002, "the service sent a frame without a type");
  for (const [field, kind] of Object.entries(REQUIRED[frame.type] ?? {})) {
    if (kindOf(frame[field]) !== kind) throw new LinkClosed(1002, `the service sent ${frame.type} without ${field}`);
  }
  return frame;
}

/** @param {unknown} value */
const kindOf = (value) => (Array.isArray(value) ? "array" : typeof value);

/** JSON that goes out as it is, the same bytes with each attempt. */
export class Raw {
  /** @param {string} json */
  constructor(json) {
    this.json = json;
  }

  get value() {
    return JSON.parse(this.json);
  }
}

/**
 * One frame as the text that goes out.
 * @param {Frame} frame
 */
export function encode(frame) {
  const parts = Object.entries(frame).map(
    ([name, value]) => `${JSON.stringify(name)}:${value instanceof Raw ? value.json : JSON.stringify(value)}`,
  );
  return `{${parts.join(",")}}`;
}

// JSON.stringify escapes what is half of a pair, and nothing else of that range.
const LONE_SURROGATE = /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/;

/**
 * A body as it is sent on every attempt.
 * @param {unknown} body any JSON
 * @param {number} limitBytes at most so many bytes of UTF-8
 * @throws {PushpullError} `invalid` for what JSON cannot hold (NaN, lone surrogates, functions), `too_large`
 */
export function encodeBody(body, limitBytes = Infinity) {
  let json;
  try {
    json = JSON.stringify(body, (_, value) => {
      if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
      return value;
    });
  } catch (error) {
    throw invalid(`the body is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (json === undefined) throw invalid(`the body is not JSON: ${typeof body}`);
  if (LONE_SURROGATE.test(json)) throw invalid("the body is not JSON: it holds half a character");
  const bytes = new TextEncoder().encode(json).length;
  if (bytes > limitBytes) {
    throw new PushpullError("too_large", `the body has ${bytes} bytes, expected at most ${limitBytes}`);
  }
  return new Raw(json);
}

/**
 * The seq at the front of a log id.
 * @param {string} logId
 */
export const seqOf = (logId) => Number.parseInt(logId, 10);

const CID = /^[A-Za-z0-9._:@-]{1,128}$/;

/** @param {string} cid */
export function checkCid(cid) {
  if (typeof cid !== "string" || !CID.test(cid)) {
    throw invalid(`cid ${JSON.stringify(cid)?.slice(0, 150)} is not 1 to 128 of A-Z a-z 0-9 . _ : - @`);
  }
  return cid;
}

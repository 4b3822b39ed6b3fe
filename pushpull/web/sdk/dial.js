/** What a device is told once, checked: where a service is, and what the device says of itself there. */

import { invalid } from "./errors.js";
import { FEATURE } from "./screen.js";
import { Rotation } from "./timing.js";

/** @typedef {import("./pushpull.d.ts").Options} Options */

const SCHEMES = new Map([
  ["http:", "ws:"],
  ["https:", "wss:"],
  ["ws:", "ws:"],
  ["wss:", "wss:"],
]);

/** @param {Options} options */
export const nodesOf = (options) => new Rotation(urlsIn(options).map(websocketUrl), Math.random);

/**
 * What a hello says beside token and positions; `device` is named once it is known.
 * @param {Options} options
 * @param {string} ownClient this release, where the owner names none
 */
export function helloOf({ unnamed = "delivered", maxBacklog, receipts = false, client }, ownClient) {
  if (!["delivered", "all", "head"].includes(unnamed)) throw invalid(`unnamed ${unnamed} is not delivered, all or head`);
  return {
    device: "",
    client: client ?? ownClient,
    features: receipts ? [FEATURE, "receipts"] : [FEATURE],
    unnamed,
    ...(maxBacklog === undefined ? {} : { max_backlog: maxBacklog }),
  };
}

/**
 * The URLs of a service's nodes, each once; of the service that this module was loaded from where none are given.
 * @param {{url?: string, urls?: string[]}} given
 */
function urlsIn({ url, urls }) {
  const given = urls ?? [url ?? ownService()];
  const listed = [...new Set(given.map((one) => one.trim().replace(/\/+$/, "")).filter(Boolean))];
  if (listed.length === 0) throw invalid("no url, expected one at least");
  return listed;
}

/**
 * The WebSocket of a service at `url` (http, https, ws or wss; with or without the path).
 * @param {string} url
 */
function websocketUrl(url) {
  let parsed;
  try {
    parsed = new URL(url, globalThis.location?.href);
  } catch {
    throw invalid(`url ${JSON.stringify(url)} is none`);
  }
  const scheme = SCHEMES.get(parsed.protocol);
  if (scheme === undefined) throw invalid(`url ${parsed.protocol}// is not http://, https://, ws:// or wss://`);
  const path = parsed.pathname.replace(/\/+$/, "");
  return `${scheme}//${parsed.host}${path.endsWith("/v1/ws") ? path : `${path}/v1/ws`}${parsed.search}`;
}

/**
 * The HTTP calls of the service whose WebSocket is at `url`.
 * @param {string} url
 */
export const httpUrl = (url) => url.replace(/^ws/, "http").replace(/\/ws(\?.*)?$/, "");

/** The service that this module was loaded from. */
function ownService() {
  const { protocol, href } = new URL("..", import.meta.url);
  if (protocol !== "http:" && protocol !== "https:") throw invalid("no url: this module was not loaded from a service");
  return href;
}

/** Where a service is: the URLs that an owner gives, as those of its WebSocket and of its HTTP calls. */

import { invalid } from "./errors.js";

const SCHEMES = new Map([
  ["http:", "ws:"],
  ["https:", "wss:"],
  ["ws:", "ws:"],
  ["wss:", "wss:"],
]);

/**
 * The URLs of a service's nodes, each once; of the service that this module was loaded from where none are given.
 * @param {{url?: string, urls?: string[]}} given
 */
export function urlsIn({ url, urls }) {
  const given = urls ?? [url ?? ownService()];
  const listed = [...new Set(given.map((one) => one.trim().replace(/\/+$/, "")).filter(Boolean))];
  if (listed.length === 0) throw invalid("no url, expected one at least");
  return listed;
}

/**
 * The WebSocket of a service at `url` (http, https, ws or wss; with or without the path).
 * @param {string} url
 */
export function websocketUrl(url) {
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

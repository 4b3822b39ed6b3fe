/** The service's HTTP calls, as the user of a chat. */

import { httpUrl } from "./dial.js";
import { PushpullError } from "./errors.js";

/**
 * Resolves with the JSON that the service answers with, null where there is none. Rejects with its problem as PushpullError.
 * @param {string} method
 * @param {string} path below /v1
 * @param {{body?: unknown, node: string, token: string}} how `node`: the URL of its WebSocket
 */
export async function call(method, path, { body, node, token }) {
  const answer = await fetch(httpUrl(node) + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw errorIn(await answer.json().catch(() => ({})), answer.status);
}

/**
 * @param {any} problem
 * @param {number} status
 */
const errorIn = (problem, status) =>
  new PushpullError(problem.code ?? "internal", problem.detail ?? `http ${status}`, {
    retryAfterMs: problem.retry_after_ms ?? null,
    reason: problem.reason ?? "",
  });

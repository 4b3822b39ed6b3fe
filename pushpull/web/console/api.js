/**
 * The service's public HTTP calls, made with a server key. The key lives in this tab alone: in sessionStorage, gone
 * with the tab, sent as a header and never as a part of an address.
 */

const KEPT_AS = "pushpull.console.key";
const TIMEOUT_MS = 20_000;

/** An answer that is an error: `code` and `status` as the service says (status 0: there was no answer). */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Whether an error only means that the view it was for is gone.
 * @param {any} error
 */
export const isAborted = (error) => error?.name === "AbortError";

export const heldKey = () => sessionStorage.getItem(KEPT_AS);
/** @param {string} key */
export const holdKey = (key) => sessionStorage.setItem(KEPT_AS, key);
export const forgetKey = () => sessionStorage.removeItem(KEPT_AS);

/**
 * A cid or a uid as a part of a path. Throws Refused for the two that no browser sends as they are.
 * @param {string} name
 */
export function part(name) {
  if (name === "." || name === "..") {
    throw new Refused(0, "invalid", `“${name}” cannot be named in an address; use the command line for it`);
  }
  return encodeURIComponent(name);
}

/**
 * Call the service and return what it answers, null where that is nothing.
 *
 * @param {string} method
 * @param {string} path below the root of the service, such as "v1/nodes"
 * @param {{body?: unknown, signal?: AbortSignal, key?: string | null}} options
 * @throws {Refused} what the service refuses, or that it does not answer
 */
export async function call(method, path, { body, signal, key = heldKey() } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const headers = { "x-api-key": key ?? "", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  let answer;
  let said;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    said = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw new DOMException("the view is gone", "AbortError");
    throw new Refused(
      0,
      "unreachable",
      /** @type {Error | null} */ (error)?.name === "TimeoutError"
        ? "the service does not answer"
        : "the service cannot be reached",
    );
  }
  const value = parsed(said);
  if (answer.ok || (path === "readyz" && value)) return value; // 503 says what is missing
  throw new Refused(
    answer.status,
    value?.code ?? "error",
    value?.detail ?? value?.title ?? `the service answered ${answer.status}`,
  );
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export const get = (path, signal) => call("GET", path, { signal });
/**
 * @param {string} path
 * @param {unknown} body
 */
export const put = (path, body) => call("PUT", path, { body });
/**
 * @param {string} path
 * @param {unknown} body
 */
export const post = (path, body) => call("POST", path, { body });
/** @param {string} path */
export const del = (path) => call("DELETE", path);

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // empty, or a proxy's own page: what matters then is the status
  }
}

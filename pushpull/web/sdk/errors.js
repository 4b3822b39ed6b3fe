/** What can go wrong, under the codes of the contract. */

const TEMPORARY = new Set(["rate_limited", "store_unavailable"]);

/**
 * Everything this client throws or reports. `code` is the contract's (`rate_limited`, `not_a_member` …), or `connection_ended`
 * where the chat is over; `temporary`: the same again may work later; `closeCode` as in the contract, where a close ended it.
 */
export class PushpullError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{temporary?: boolean, retryAfterMs?: number | null, closeCode?: number, reason?: string}} [more]
   */
  constructor(code, message, { temporary, retryAfterMs = null, closeCode = 0, reason = "" } = {}) {
    super(message);
    this.name = "PushpullError";
    this.code = code;
    this.temporary = temporary ?? TEMPORARY.has(code);
    this.retryAfterMs = retryAfterMs;
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** One WebSocket is gone: `code` as in the contract, 1006 where nobody said why. */
export class LinkClosed extends Error {
  /**
   * @param {number} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(`closed with ${code} ${reason}`.trim());
    this.code = code;
    this.reason = reason;
  }
}

/** @param {string} message */
export const invalid = (message) => new PushpullError("invalid", message);

/** What ends a chat that its owner closes. */
export const closedHere = () => new PushpullError("connection_ended", "the chat was closed");

/**
 * The error after a close from which a client stays away.
 * @param {LinkClosed} closed
 */
export function finalError(closed) {
  if (closed.code === 4401) {
    const reason = closed.reason || "token_invalid";
    return new PushpullError("unauthenticated", `the service refused the token: ${reason}`, { closeCode: 4401, reason });
  }
  const why = closed.code === 4409 ? "another connection of this user and device took over" : closed.reason;
  const message = `the service closed the connection for good: ${closed.code} ${why}`.trim();
  return new PushpullError("connection_ended", message, { closeCode: closed.code, reason: closed.reason });
}

/**
 * What the service refuses: sends, pulls, and the rest; for good, or for the moment.
 *
 * Theory of operation. What a refusal belongs to is known by its cmid or its rid. For the moment: it is said again, later; nobody need
 * hear of it. For good: the sender of a message is told by its outgoing, whoever asked for anything else by an event.
 *
 * Pure: `now` in steady seconds. `expired` is bounded by the outbox, and emptied by whoever drives this.
 */

import { errorOf } from "./events.js";
import { SIGNAL_RID } from "./screen.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./errors.js").PushpullError} PushpullError */

/** Seconds, where the service names none. */
const WAIT_S = 1;

/**
 * @typedef {object} Parts
 * @property {import("./inbox.js").Inbox} inbox
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./conversations.js").Conversations} held
 * @property {import("./pulls.js").Pulls} pulls
 * @property {import("./pulls.js").Again} again
 * @property {() => number} chance
 */

export class Refusals {
  /** @type {import("./outbox.js").Outgoing[]} cmid_expired: whoever drives this looks their cmids up. */
  expired = [];
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onError(frame, now) {
    const error = errorOf(frame);
    if (error.temporary && frame.rid === SIGNAL_RID) return; // it is not said again, and nobody waits for it
    if (typeof frame.cid === "string" && typeof frame.cmid === "string") this.#onSend(frame, error, now);
    else this.#onRequest(frame, error, now);
  }

  /**
   * @param {Frame} frame
   * @param {PushpullError} error
   * @param {number} now
   */
  #onSend({ cid, cmid, code }, error, now) {
    const { outbox, chance } = this.#parts;
    if (code === "cmid_expired") {
      const outgoing = outbox.expire(cid, cmid);
      if (outgoing !== null) this.expired.push(outgoing);
      return;
    }
    outbox.onRefused(cid, cmid, error, { temporary: error.temporary, now, chance: chance() });
  }

  /**
   * @param {Frame} frame
   * @param {PushpullError} error
   * @param {number} now
   */
  #onRequest(frame, error, now) {
    const { inbox, held, pulls, again } = this.#parts;
    const { temporary, retryAfterMs } = error;
    const waitS = retryAfterMs === null ? WAIT_S : retryAfterMs / 1000;
    if (temporary && again.refused(frame.rid, waitS, now)) return;
    const cid = pulls.refused(frame.rid, waitS, now);
    if (cid === null || !temporary) inbox.putEvent({ type: "refused", cid: frame.cid ?? cid, error });
    const position = cid === null ? undefined : held.positions.get(cid);
    if (position !== undefined) {
      position.pulling = null;
      position.chasing = position.chasing && temporary;
    }
  }
}

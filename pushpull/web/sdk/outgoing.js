/** A message on its way out, as it is kept and as it is sent. */

/** @typedef {import("./errors.js").PushpullError} PushpullError */
/** @typedef {import("./frames.js").Raw} Raw */

/** One message and what became of it: `result` or `error` once it is done. */
export class Outgoing {
  inFlight = false;
  again = false;
  /** @type {{cid: string, cmid: string, id: string, dup: boolean} | null} */
  result = null;
  /** @type {PushpullError | null} */
  error = null;
  /** @type {((done: Outgoing) => void) | null} */
  onDone = null;

  /**
   * @param {{cid: string, cmid: string, body: Raw, kind?: string, quiet?: boolean, mentions?: string[], ref?: number | null,
   *   firstAt?: number | null, queuedAt?: number}} message
   */
  constructor({ cid, cmid, body, kind = "message", quiet = false, mentions = [], ref = null, firstAt = null, queuedAt = 0 }) {
    this.cid = cid;
    this.cmid = cmid;
    this.body = body;
    this.kind = kind;
    this.quiet = quiet;
    this.mentions = mentions;
    this.ref = ref;
    this.firstAt = firstAt;
    this.queuedAt = queuedAt;
  }

  /** As the owner of a chat sees what waits. */
  shown() {
    const { cid, cmid, body, kind, quiet, mentions, ref, queuedAt } = this;
    return { cid, cmid, body: body.value, kind, quiet, mentions, ref, queuedAt };
  }

  /** As the owner of a chat is told of its end. */
  outcome() {
    const { cid, cmid, result, error } = this;
    return error === null ? { type: "sent", ...result } : { type: "unsent", cid, cmid, error };
  }

  /** As `send` says it. The first try names no time: it repeats nothing. */
  frame() {
    return {
      type: "send",
      cid: this.cid,
      cmid: this.cmid,
      body: this.body,
      ...(this.kind === "message" ? {} : { kind: this.kind }),
      ...(this.quiet ? { quiet: true } : {}),
      ...(this.mentions.length > 0 ? { mentions: this.mentions } : {}),
      ...(this.ref === null ? {} : { ref: this.ref }),
      ...(this.again ? { first_at: this.firstAt } : {}),
    };
  }
}

/**
 * Which conversations wait for a pull, and which have one under way; and the frames that are said again where the service refuses
 * them for the moment. Pure; `now` in steady seconds. Bounded by the conversations.
 */

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./rule.js").Position} Position */

/** At a time over all conversations: thousands may be behind when a device comes back, and frames have a rate. */
const PULLS = 8;
/** Seconds. A pull without an answer for so long is sent again; the connection itself is watched elsewhere. */
const ANSWER_S = 10;
/** Seconds. A pushed conversation that stays behind for so long without a frame is pulled: the safety net under push. */
const STALL_S = 5;
const LIMIT = 100;

/** @param {Iterable<number>} times */
const earliest = (times) => {
  let first = null;
  for (const at of times) first = first === null || at < first ? at : first;
  return first;
};

export class Pulls {
  /** @type {Set<string>} First come, first pulled. */
  #wanted = new Set();
  /** @type {Map<string, {rid: string, sentAt: number}>} */
  #underWay = new Map();
  /** @type {Map<string, number>} Refused for now. */
  #notBefore = new Map();
  /** @type {Map<string, number>} Pushed, behind, and silent until then. */
  #stallsAt = new Map();
  #count = 0;
  /** @type {number | null} */
  dueAt = null;

  /** The session is over. */
  clear() {
    for (const known of [this.#wanted, this.#underWay, this.#notBefore, this.#stallsAt]) known.clear();
    this.dueAt = null;
  }

  /**
   * Look at this conversation with the next `take`.
   * @param {string} cid
   */
  want(cid) {
    this.#wanted.add(cid);
  }

  /**
   * A frame with messages of `cid` came; `answer`: its pull came back with it.
   * @param {string} cid
   * @param {boolean} answer
   */
  heard(cid, answer) {
    this.#stallsAt.delete(cid);
    if (answer) this.#underWay.delete(cid);
  }

  /** @param {string} cid */
  forget(cid) {
    for (const known of [this.#wanted, this.#underWay, this.#notBefore, this.#stallsAt]) known.delete(cid);
  }

  /**
   * The pull `rid` was refused: its conversation waits. Returns its cid; null where it is no pull of ours.
   * @param {unknown} rid
   * @param {number} waitS
   * @param {number} now
   */
  refused(rid, waitS, now) {
    for (const [cid, pull] of this.#underWay) {
      if (pull.rid === rid) {
        this.#underWay.delete(cid);
        this.#notBefore.set(cid, now + waitS);
        this.want(cid);
        return cid;
      }
    }
    return null;
  }

  /**
   * The `pull` frames to send now; `dueAt` says when to ask again.
   * @param {Map<string, Position>} positions
   * @param {number} now
   */
  take(positions, now) {
    this.#giveUpLate(positions, now);
    this.dueAt = earliest([...this.#underWay.values()].map((pull) => pull.sentAt + ANSWER_S));
    /** @type {Frame[]} */
    const frames = [];
    for (const cid of [...this.#wanted]) {
      const position = positions.get(cid);
      if (position === undefined || this.#underWay.has(cid) || !position.behind || position.rests) {
        this.#settle(cid);
        continue;
      }
      const at = this.#earliestFor(cid, position, now);
      if (at > now) this.#waitUntil(at);
      else if (this.#underWay.size < PULLS) frames.push(this.#pull(cid, position, now));
    }
    return frames;
  }

  /**
   * @param {string} cid
   * @param {Position} position
   * @param {number} now
   */
  #earliestFor(cid, position, now) {
    const notBefore = this.#notBefore.get(cid) ?? now;
    if (position.chasing) return notBefore;
    if (!this.#stallsAt.has(cid)) this.#stallsAt.set(cid, now + STALL_S);
    return Math.max(notBefore, this.#stallsAt.get(cid) ?? now);
  }

  /** @param {string} cid */
  #settle(cid) {
    this.#wanted.delete(cid);
    this.#notBefore.delete(cid);
    this.#stallsAt.delete(cid);
  }

  /**
   * @param {string} cid
   * @param {Position} position
   * @param {number} now
   */
  #pull(cid, position, now) {
    this.#count += 1;
    const rid = `pull-${this.#count}`;
    position.pulling = position.seq;
    this.#settle(cid);
    this.#underWay.set(cid, { rid, sentAt: now });
    this.#waitUntil(now + ANSWER_S);
    return { type: "pull", cid, after: position.seq, limit: LIMIT, rid };
  }

  /**
   * @param {Map<string, Position>} positions
   * @param {number} now
   */
  #giveUpLate(positions, now) {
    for (const [cid, pull] of [...this.#underWay]) {
      if (now < pull.sentAt + ANSWER_S) continue;
      this.#underWay.delete(cid);
      const position = positions.get(cid);
      if (position !== undefined) position.pulling = null;
      this.want(cid);
    }
  }

  /** @param {number} at */
  #waitUntil(at) {
    this.dueAt = this.dueAt === null ? at : Math.min(this.dueAt, at);
  }
}

/** A list page, a read: said again where refused for now. Their `rid` names them, so nothing is kept of those that are taken. */
export class Again {
  /** @type {Map<string, number>} rid to when to say it again */
  #refused = new Map();

  get dueAt() {
    return earliest(this.#refused.values());
  }

  /** The session is over: the next one begins with its own. */
  clear() {
    this.#refused.clear();
  }

  /**
   * A `sync` or a `read`, with the rid by which a refusal of it is known.
   * @param {Frame} frame
   */
  marked(frame) {
    const subject = frame.type === "sync" ? frame.after : `${frame.cid} ${frame.seq}`;
    return { ...frame, rid: `again ${frame.type} ${subject}` };
  }

  /**
   * The service refused `rid` for now; false where it is none of these.
   * @param {unknown} rid
   * @param {number} waitS
   * @param {number} now
   */
  refused(rid, waitS, now) {
    if (typeof rid !== "string" || !rid.startsWith("again ")) return false;
    this.#refused.set(rid, now + waitS);
    return true;
  }

  /** @param {number} now */
  take(now) {
    const due = [...this.#refused].filter(([, at]) => at <= now).map(([rid]) => rid);
    for (const rid of due) this.#refused.delete(rid);
    return due.map((rid) => {
      const [, type, subject, seq] = rid.split(" ");
      return type === "sync" ? { type, after: subject, rid } : { type, cid: subject, seq: Number(seq), rid };
    });
  }
}

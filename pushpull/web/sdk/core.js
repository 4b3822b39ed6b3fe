/**
 * One device without its connection: frames in, frames to send out. No I/O, no clock; `now` in steady seconds.
 *
 * Theory of operation. `opened` starts a session with what `welcome` says, `receive` takes each frame, `outgoing` gives what is to
 * be sent at this moment, `nextAt` says when to ask again if nothing happens, `closed` ends the session. What outlives a session:
 * where the device stands (inbox.handed), what it holds (held), what it has to send (outbox). All else is made anew: each
 * conversation goes on from the row that the next session lists.
 *
 * It is the Python client's core in another language: tests/conformance holds both to the same cases.
 */

import { Acks } from "./acks.js";
import { Conversations } from "./conversations.js";
import { errorOf, messageOf } from "./events.js";
import { seqOf } from "./frames.js";
import { Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";
import { Again, Pulls } from "./pulls.js";
import { Position } from "./rule.js";
import { Screen, SIGNAL_RID, Signals } from "./screen.js";

/** @typedef {import("./frames.js").Frame} Frame */
/** @typedef {import("./outbox.js").Outgoing} Outgoing */

/** Messages received and not taken yet. Past it the device lets messages lie at the service and pulls them later. */
const MAX_QUEUED = 1000;

export class Core {
  acks = new Acks();
  pulls = new Pulls();
  held = new Conversations();
  screen = new Screen();
  signals = new Signals();
  /** @type {Outgoing[]} cmid_expired: whoever drives this looks their cmids up. */
  expired = [];
  /** @type {Outgoing[]} Lost by a failover and waiting again: whoever keeps the outbox keeps them, too. */
  returned = [];
  user = "";
  /** This session has listed every conversation; before that it knows only some. */
  listComplete = false;
  /** @type {Map<string, string | null>} Positions that were stored and not kept by the owner yet; null: left. */
  moved = new Map();
  /** The service's clock minus `now`, in ms. */
  clockAheadMs = 0;
  #chance;
  #again = new Again();
  /** @type {Map<string, string>} As last told, over sessions. */
  #epochs = new Map();
  /** @type {Map<string, number>} */
  #reads = new Map();
  /** @type {Map<string, number>} Reads sent; a cut connection may have swallowed them. */
  #unconfirmed = new Map();
  /** @type {Frame[]} Pongs and list pages: at most one per frame received. */
  #answers = [];
  /** @type {Set<string>} */
  #listed = new Set();
  /** @type {Set<string>} Named by this session's hello. */
  #named = new Set();

  /** @param {{positions?: Map<string, string>, chance?: () => number, maxQueued?: number, maxPending?: number}} [options] */
  constructor({ positions = new Map(), chance = Math.random, maxQueued = MAX_QUEUED, maxPending } = {}) {
    this.inbox = new Inbox(positions, maxQueued);
    this.outbox = new Outbox(maxPending);
    this.#chance = chance;
  }

  /**
   * What a hello says of where the device stands: the positions of as many conversations as `roomBytes` hold, those that moved
   * last before others. One left out begins at the user's delivered cursor, and what may lie between is pulled.
   * @param {number} roomBytes
   */
  hello(roomBytes = Infinity) {
    this.#named.clear();
    /** @type {Record<string, string>} */
    const positions = Object.create(null);
    let bytes = 0;
    for (const [cid, pos] of [...this.inbox.handed].reverse()) {
      bytes += cid.length + pos.length + 6;
      if (bytes > roomBytes) break;
      positions[cid] = pos;
      this.#named.add(cid);
    }
    return { ...this.screen.hello(), positions };
  }

  /**
   * A session is open. What was queued and not taken is dropped: the service sends it again from `handed`.
   * @param {Frame} welcome
   * @param {number} now
   */
  opened(welcome, now) {
    this.user = welcome.user;
    this.screen.opened(welcome.features);
    this.clockAheadMs = (welcome.time ?? 0) - now * 1000;
    this.acks.delayS = (welcome.ack?.delay_ms ?? 200) / 1000;
    this.acks.maxMessages = welcome.ack?.max ?? 32;
    this.#listed.clear();
    this.listComplete = false;
  }

  /** @param {number} now the session is over */
  closed(now) {
    this.inbox.rewind();
    this.held.unlist();
    this.pulls.clear();
    this.#answers = [];
    this.signals.clear();
    this.#again.clear();
    this.outbox.disconnected(now);
  }

  /**
   * Take one frame of the session.
   * @param {Frame} frame
   * @param {number} now
   */
  receive(frame, now) {
    HANDLERS.get(frame.type)?.(this, frame, now);
  }

  /**
   * The frames to send now, in this order. Acks wait for `ack`.
   * @param {number} now
   * @returns {Frame[]}
   */
  outgoing(now) {
    const out = [...this.#answers.splice(0), ...this.#again.take(now), ...this.screen.take(), ...this.#dueReads()];
    if (this.inbox.roomy) out.push(...this.pulls.take(this.held.positions, now));
    // Before the first page of the list the service only gathers what we say, and not much of it.
    if (this.#listed.size > 0 || this.listComplete) {
      out.push(...this.outbox.take({ now, nowMs: this.serviceTimeMs(now) }).map((outgoing) => outgoing.frame()));
    }
    return [...out, ...this.signals.take()];
  }

  /**
   * The service's clock, in ms; before the first session it is this device's.
   * @param {number} now
   */
  serviceTimeMs(now) {
    return this.user === "" ? Date.now() : Math.trunc(now * 1000 + this.clockAheadMs);
  }

  /**
   * When `outgoing` or `ack` has something to do even if nothing else happens; null: never.
   * @param {number} now
   */
  nextAt(now) {
    const pullsAt = this.inbox.roomy ? this.pulls.dueAt : null; // without room, taking wakes whoever drives this
    const times = [this.acks.dueAt, this.outbox.dueAt(now), pullsAt, this.#again.dueAt].filter((at) => at !== null);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /**
   * The acks that are due.
   * @param {number} now
   * @param {{atOnce?: boolean}} [how]
   */
  ack(now, { atOnce = false } = {}) {
    return this.acks.take(now, atOnce);
  }

  /**
   * `cid` is on the screen now; null: no conversation is.
   * @param {string | null} cid
   * @param {boolean} active
   */
  show(cid, active) {
    this.screen.show(cid, active);
    const position = cid === null ? undefined : this.held.positions.get(cid);
    if (cid !== null && position !== undefined && active) {
      position.wake(!this.screen.known);
      this.pulls.want(cid);
    }
  }

  /**
   * Say something passing, where it can be said now: in a conversation that this session has listed.
   * @param {string} cid
   * @param {import("./frames.js").Raw} body
   */
  signal(cid, body) {
    if (this.held.positions.has(cid)) this.signals.say(cid, body);
  }

  /**
   * The owner is done with the last thing it took; with `ackedByHand` that says nothing about messages.
   * @param {number} now
   * @param {{ackedByHand?: boolean}} [how]
   */
  settle(now, { ackedByHand = false } = {}) {
    const moved = this.inbox.settle({ resetsOnly: ackedByHand });
    if (moved !== null) this.#stored(...moved, now);
  }

  /**
   * The owner says so itself.
   * @param {string} cid
   * @param {string} pos
   * @param {number} now
   */
  markStored(cid, pos, now) {
    if (this.inbox.markStored(cid, pos)) this.#stored(cid, pos, now);
  }

  /**
   * The user has read up to `seq`.
   * @param {string} cid
   * @param {number} seq
   */
  read(cid, seq) {
    this.#reads.set(cid, Math.max(seq, this.#reads.get(cid) ?? 0));
  }

  /**
   * @param {string} cid
   * @param {string} pos
   * @param {number} now
   */
  #stored(cid, pos, now) {
    this.moved.set(cid, pos);
    this.acks.stored(cid, seqOf(pos), now);
  }

  /** Reads of conversations that this session knows; of the others once the list shows that there are none. */
  #dueReads() {
    const due = [...this.#reads].filter(([cid]) => this.listComplete || this.held.positions.has(cid));
    for (const [cid, seq] of due) {
      this.#reads.delete(cid);
      this.#unconfirmed.set(cid, seq);
    }
    return due.map(([cid, seq]) => this.#again.marked({ type: "read", cid, seq }));
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onSync(frame, now) {
    for (const row of frame.conversations) this.#adopt(row, now);
    if (frame.next != null) {
      this.#answers.push(this.#again.marked({ type: "sync", after: frame.next }));
      return;
    }
    this.listComplete = true;
    for (const cid of new Set([...this.inbox.handed.keys(), ...this.held.positions.keys()])) {
      if (!this.#listed.has(cid)) this.#leave(cid, "left");
    }
  }

  /**
   * @param {Frame} row
   * @param {number} now
   */
  #adopt(row, now) {
    const { cid, start } = row;
    const epoch = row.epoch ?? "";
    this.#listed.add(cid);
    if (!this.inbox.handed.has(cid)) {
      this.inbox.begin(cid, start);
      this.moved.set(cid, start);
    } else if (!this.#named.has(cid) && seqOf(start) > seqOf(this.inbox.handed.get(cid) ?? start)) {
      this.#adoptAhead(row, now);
      return;
    }
    const position = new Position(this.inbox.handed.get(cid) ?? start);
    this.held.adopt(row, position);
    const reason = position.onRow(row);
    this.#place(row, position, Math.min(seqOf(this.inbox.stored.get(cid) ?? start), seqOf(start)), now);
    if (reason !== null) {
      const told = this.held.told.get(cid);
      this.#reset(cid, told !== undefined && told.pos === start ? told : { reason, pos: start, epoch });
    }
    this.pulls.want(cid);
  }

  /**
   * The hello had no room for this one, and other devices have come further: stay, and pull what lies between.
   * @param {Frame} row
   * @param {number} now
   */
  #adoptAhead(row, now) {
    const position = new Position(this.inbox.handed.get(row.cid) ?? row.start);
    this.held.adopt(row, position);
    position.onRowAhead(row);
    this.#place(row, position, seqOf(this.inbox.stored.get(row.cid) ?? row.start), now);
    this.pulls.want(row.cid);
  }

  /**
   * @param {Frame} row
   * @param {Position} position
   * @param {number} posSeq
   * @param {number} now
   */
  #place(row, position, posSeq, now) {
    const { cid } = row;
    const epoch = row.epoch ?? "";
    position.rests = position.mode !== "push" && this.screen.hides(cid);
    // The log lost its tail while we were away. We may hold nothing of it, and yet have sent some.
    if ((this.#epochs.get(cid) ?? epoch) !== epoch) this.#return(cid, seqOf(row.start));
    this.#epochs.set(cid, epoch);
    const unreadUpTo = this.#unconfirmed.get(cid) ?? 0;
    this.#unconfirmed.delete(cid);
    if ((row.read ?? 0) < unreadUpTo && unreadUpTo <= (row.head ?? 0)) this.read(cid, unreadUpTo);
    this.acks.onRow(cid, { posSeq, delivered: row.delivered ?? 0, now });
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onMessages(frame, now) {
    const { cid } = frame;
    const position = this.held.positions.get(cid);
    if (position === undefined) return;
    this.pulls.heard(cid, frame.after === position.pulling);
    if (frame.redelivery) this.acks.repeat(cid, now);
    if (this.inbox.full) position.putOff(frame);
    else this.#apply(cid, position.onMessages(frame), now);
    this.held.onHead(cid, position.head, frame.floor ?? 1);
    this.pulls.want(cid);
  }

  /**
   * @param {string} cid
   * @param {import("./rule.js").Verdict} judged
   * @param {number} now
   */
  #apply(cid, judged, now) {
    if (judged.verdict === "applied") {
      this.inbox.put(cid, judged.items.map((item) => messageOf(cid, item)), judged.pos);
      this.held.onItems(cid, judged.items);
    } else if (judged.verdict === "duplicate") {
      this.acks.repeat(cid, now + this.acks.delayS);
    }
  }

  /** @param {Frame} frame */
  onNotice(frame) {
    const { cid, head } = frame;
    const position = this.held.positions.get(cid);
    if (position === undefined) return;
    position.onNotice(head);
    this.held.onNotice(frame);
    if (this.screen.hides(cid) && position.behind) {
      position.rests = true;
      const conversation = this.held.seen.get(cid);
      const mentioned = frame.mentioned === true;
      this.inbox.putEvent({ type: "notice", cid, head: conversation.head, unread: conversation.unread, mentioned });
    }
    this.pulls.want(cid);
  }

  /** @param {Frame} frame */
  onReset(frame) {
    const { cid, reason, pos } = frame;
    const head = frame.head ?? 0;
    const position = this.held.positions.get(cid);
    const told = { reason, pos, epoch: frame.epoch ?? "" };
    if (position === undefined) {
      this.held.told.set(cid, told); // ahead of its row: the row will refer to it
    } else if (reason === "trimmed" && seqOf(pos) <= position.seq) {
      // What is gone lies below: frames that were on their way have carried the device past it.
      position.head = Math.max(position.head, head);
      this.held.onHead(cid, position.head, frame.floor ?? 1);
      this.pulls.want(cid);
    } else if (!isSame(this.held.told.get(cid), told)) {
      this.#epochs.set(cid, told.epoch);
      position.onReset({ pos, head, reason });
      this.pulls.heard(cid, true); // a pull from before the reset is no use any more
      this.acks.forget(cid);
      this.#reset(cid, told, frame.floor ?? 1);
      this.pulls.want(cid);
    }
  }

  /**
   * @param {string} cid
   * @param {{reason: string, pos: string, epoch: string}} told
   * @param {number} [floor]
   */
  #reset(cid, told, floor) {
    const position = this.held.positions.get(cid);
    const conversation = this.held.seen.get(cid);
    if (position === undefined) return;
    conversation.head = position.head;
    conversation.floor = floor ?? conversation.floor;
    this.held.told.set(cid, told);
    const { reason, epoch } = told;
    this.inbox.putReset({ type: "reset", cid, reason, pos: position.pos, epoch, head: position.head, floor: conversation.floor });
    if (reason !== "trimmed") this.#return(cid, seqOf(told.pos), reason === "epoch");
  }

  /**
   * @param {string} cid
   * @param {number} seq
   * @param {boolean} [everything]
   */
  #return(cid, seq, everything = false) {
    this.returned.push(...this.outbox.returnAbove(cid, seq, everything));
  }

  /** @param {Frame} frame */
  onCursors(frame) {
    const { cid, delivered, read, unread } = frame;
    if (read >= (this.#unconfirmed.get(cid) ?? 0)) this.#unconfirmed.delete(cid);
    if (this.held.onCursors(frame)) this.inbox.putEvent({ type: "cursors", cid, delivered, read, unread });
  }

  /** @param {Frame} frame `receipt` or `signal`: the room that is left is for messages */
  onPassing(frame) {
    const { type, cid } = frame;
    if (!this.inbox.roomy) return;
    if (type === "signal") this.inbox.putEvent({ type, cid, from: frame.from ?? null, body: frame.body ?? null });
    else this.inbox.putEvent({ type, cid, user: frame.user, delivered: frame.delivered ?? null, read: frame.read ?? null });
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onChange({ cid, change, row }, now) {
    if (change === "left" || change === "deleted") {
      this.#leave(cid, change);
      return;
    }
    if (row != null && (change === "joined" || !this.held.positions.has(cid))) {
      this.#adopt(row, now);
    } else if (row != null) {
      this.held.update(row);
      this.pulls.want(cid);
    }
    this.inbox.putEvent({ type: "conversation", cid, change });
  }

  /**
   * @param {string} cid
   * @param {string} change
   */
  #leave(cid, change) {
    this.inbox.forget(cid);
    this.held.forget(cid);
    this.acks.forget(cid);
    this.pulls.forget(cid);
    this.#epochs.delete(cid);
    this.moved.set(cid, null);
    this.inbox.putEvent({ type: "conversation", cid, change });
  }

  /**
   * @param {Frame} frame
   * @param {number} now
   */
  onError(frame, now) {
    const error = errorOf(frame);
    const { temporary } = error;
    if (temporary && frame.rid === SIGNAL_RID) return; // it is not said again, and nobody waits for it
    if (typeof frame.cid === "string" && typeof frame.cmid === "string") {
      this.#onSendRefused(frame, error, now);
      return;
    }
    const waitS = (frame.retry_after_ms ?? 1000) / 1000;
    if (temporary && this.#again.refused(frame.rid, waitS, now)) return;
    const cid = this.pulls.refused(frame.rid, waitS, now);
    if (cid === null || !temporary) this.inbox.putEvent({ type: "refused", cid: frame.cid ?? cid, error });
    const position = cid === null ? undefined : this.held.positions.get(cid);
    if (position !== undefined) {
      position.pulling = null;
      position.chasing = position.chasing && temporary;
    }
  }

  /**
   * @param {Frame} frame
   * @param {import("./errors.js").PushpullError} error
   * @param {number} now
   */
  #onSendRefused({ cid, cmid, code }, error, now) {
    if (code === "cmid_expired") {
      const outgoing = this.outbox.expire(cid, cmid);
      if (outgoing !== null) this.expired.push(outgoing);
      return;
    }
    this.outbox.onRefused(cid, cmid, error, { temporary: error.temporary, now, chance: this.#chance() });
  }

  /** @param {Frame} frame */
  onPing(frame) {
    this.#answers.push(frame.t == null ? { type: "pong" } : { type: "pong", t: frame.t });
  }
}

/** @type {Map<string, (core: Core, frame: Frame, now: number) => void>} */
const HANDLERS = new Map([
  ["sync", (core, frame, now) => core.onSync(frame, now)],
  ["messages", (core, frame, now) => core.onMessages(frame, now)],
  ["notice", (core, frame) => core.onNotice(frame)],
  ["reset", (core, frame) => core.onReset(frame)],
  ["sent", (core, frame) => core.outbox.onSent(/** @type {any} */ (frame))],
  ["cursors", (core, frame) => core.onCursors(frame)],
  ["receipt", (core, frame) => core.onPassing(frame)],
  ["signal", (core, frame) => core.onPassing(frame)],
  ["conversation", (core, frame, now) => core.onChange(/** @type {any} */ (frame), now)],
  ["error", (core, frame, now) => core.onError(frame, now)],
  ["ping", (core, frame) => core.onPing(frame)],
]);

/**
 * @param {{reason: string, pos: string, epoch: string} | undefined} one
 * @param {{reason: string, pos: string, epoch: string}} other
 */
const isSame = (one, other) => one?.reason === other.reason && one.pos === other.pos && one.epoch === other.epoch;

/**
 * What goes over the wire, counted: frames by what they are, characters, and how it went in the last minute.
 *
 * Pure but for the clock that is passed in. Bounded: SECONDS samples, RECENT lines, a pull for each conversation.
 */

const SECONDS = 60;
const RECENT = 12;

export class Meter {
  counts = { push: 0, notice: 0, pull: 0, page: 0, redelivery: 0, ack: 0, framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 };
  messages = 0;
  latencyMs = 0;
  reconnects = -1;
  /** @type {{direction: "in" | "out", words: string}[]} */
  recent = [];
  /** @type {{messages: number, frames: number}[]} The last minute, a second each; the last one is under way. */
  seconds = [{ messages: 0, frames: 0 }];
  #aheadMs = 0;
  /** @type {Map<string, number>} cid → `after` of the pull that was not answered yet */
  #pulls = new Map();

  /**
   * @param {"in" | "out"} direction
   * @param {any} frame
   * @param {number} nowMs
   */
  frame(direction, frame, nowMs) {
    const kind = direction === "in" ? this.#incoming(frame, nowMs) : this.#outgoing(frame);
    this.counts[direction === "in" ? "framesIn" : "framesOut"] += 1;
    this.#now.frames += 1;
    this.recent.push({ direction, words: `${kind} ${detail(frame)}`.trim() });
    if (this.recent.length > RECENT) this.recent.shift();
  }

  /**
   * @param {"in" | "out"} direction
   * @param {number} length
   */
  bytes(direction, length) {
    this.counts[direction === "in" ? "bytesIn" : "bytesOut"] += length;
  }

  /**
   * The page was given a message.
   * @param {{ts: number}} message
   * @param {number} nowMs
   */
  taken({ ts }, nowMs) {
    this.messages += 1;
    this.#now.messages += 1;
    this.latencyMs = nowMs + this.#aheadMs - ts;
  }

  /** A second went by. */
  tick() {
    this.seconds.push({ messages: 0, frames: 0 });
    if (this.seconds.length > SECONDS + 1) this.seconds.shift();
  }

  /** Of the last five whole seconds. */
  get rate() {
    const whole = this.seconds.slice(-6, -1);
    const sum = (/** @type {"messages" | "frames"} */ name) => whole.reduce((total, second) => total + second[name], 0);
    const share = Math.max(1, whole.length);
    return { messages: sum("messages") / share, frames: sum("frames") / share };
  }

  get #now() {
    return this.seconds[this.seconds.length - 1];
  }

  /**
   * @param {any} frame
   * @param {number} nowMs
   */
  #incoming(frame, nowMs) {
    if (frame.type === "welcome") {
      this.#aheadMs = frame.time - nowMs;
      this.reconnects += 1;
      this.#pulls.clear();
    }
    if (frame.type === "notice") this.counts.notice += 1;
    if (frame.type !== "messages") return frame.type;
    const kind = this.#kindOf(frame);
    this.counts[kind] += 1;
    return kind;
  }

  /** @param {any} frame `messages`: all that brings messages has this one shape */
  #kindOf(frame) {
    if (frame.redelivery) return "redelivery";
    if (this.#pulls.get(frame.cid) !== frame.after) return "push";
    this.#pulls.delete(frame.cid);
    return "page";
  }

  /** @param {any} frame */
  #outgoing(frame) {
    if (frame.type === "ack") this.counts.ack += 1;
    if (frame.type === "pull" && frame.after !== undefined) {
      this.counts.pull += 1;
      this.#pulls.set(frame.cid, frame.after);
      return "pull";
    }
    return frame.type === "pull" ? "history" : frame.type;
  }
}

/** @param {any} frame its gist, without what was written in it */
function detail({ type, cid, after, before, upto, head, acks, seq, items }) {
  const name = cid == null ? "" : cid.replace(/^demo:/, "");
  switch (type) {
    case "messages":
      return `${name} (${after}, ${upto}] of ${head}`;
    case "history":
      return `${name} ${items.length} items`;
    case "notice":
      return `${name} up to ${head}`;
    case "pull":
      return after === undefined ? `${name} before ${before ?? "the end"}` : `${name} after ${after}`;
    case "ack":
      return Object.entries(acks).map(([of, upTo]) => `${of.replace(/^demo:/, "")} ${upTo}`).join(", ");
    case "read":
      return `${name} ${seq}`;
    default:
      return name;
  }
}

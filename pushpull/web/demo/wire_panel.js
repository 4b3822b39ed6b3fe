/** The panel that shows what the wire does: switches, what was checked, this conversation, counts, the last minute. */

import { byId, make, say } from "./elements.js";
import { bytes, count, milliseconds } from "./words.js";
import { Chart } from "./chart.js";

const SWITCHES = [
  { name: "cut", title: "Cut the connection", about: "What you write waits; what you miss is fetched later." },
  { name: "keepAcks", title: "Stop acking", about: "The service sends again what it has no ack for. You see it once." },
  { name: "slow", title: "Read slowly", about: "Two messages a second. The rest waits at the service, not here." },
];

const COUNTS = [
  { name: "push", title: "Pushes" },
  { name: "notice", title: "Notices" },
  { name: "pull", title: "Pulls" },
  { name: "page", title: "Pages" },
  { name: "redelivery", title: "Redeliveries" },
  { name: "ack", title: "Acks" },
];

/**
 * What the panel shows of the conversation that is open.
 * @typedef {{cid: string, way: string, why: string, cursor: number, head: number}} Subject
 */

export class WirePanel {
  #meter;
  #ledger;
  /** @type {Map<string, HTMLElement>} */
  #values = new Map();
  #recent = make("ol", { class: "frames" });
  #verdict = make("p", { class: "verdict" });
  #chart = new Chart();

  /**
   * @param {import("./meter.js").Meter} meter
   * @param {import("./ledger.js").Ledger} ledger
   * @param {(name: string, on: boolean) => void} onSwitch
   */
  constructor(meter, ledger, onSwitch) {
    this.#meter = meter;
    this.#ledger = ledger;
    byId("wire-body").append(
      this.#section("Treat it badly", ...SWITCHES.map((one) => switchOf(one, onSwitch))),
      this.#section("Nothing lost", this.#verdict, this.#table(["Checked", "Missing", "Shown twice"])),
      this.#section("This conversation", this.#table(["Way", "Cursor", "Head", "Lag", "Latency"]), this.#value("Why", "p")),
      this.#section("The last minute", this.#chart.element, this.#table(["Messages", "Frames"])),
      this.#section("Since you came", this.#table([...COUNTS.map(({ title }) => title), "In", "Out", "Reconnects"])),
      this.#section("Frames", this.#recent),
    );
  }

  /** @param {Subject | null} subject */
  draw(subject) {
    this.#drawLedger();
    this.#drawSubject(subject);
    const { counts, rate, reconnects } = this.#meter;
    for (const { name, title } of COUNTS) this.#set(title, count(/** @type {any} */ (counts)[name]));
    this.#set("In", `${count(counts.framesIn)} frames, ${bytes(counts.bytesIn)}`);
    this.#set("Out", `${count(counts.framesOut)} frames, ${bytes(counts.bytesOut)}`);
    this.#set("Reconnects", count(Math.max(0, reconnects)));
    this.#set("Messages", `${rate.messages.toFixed(1)} a second`);
    this.#set("Frames", `${rate.frames.toFixed(1)} a second`);
    this.#chart.draw(this.#meter.seconds);
    this.#drawRecent();
  }

  #drawLedger() {
    const { checked, missing, doubled, clean } = this.#ledger;
    say(this.#verdict, checked === 0 ? "Nothing to check yet" : clean ? "Every message, once, in order" : "Something went wrong");
    this.#verdict.dataset.verdict = checked === 0 ? "none" : clean ? "good" : "bad";
    this.#set("Checked", count(checked));
    this.#set("Missing", count(missing));
    this.#set("Shown twice", count(doubled));
  }

  /** @param {Subject | null} subject */
  #drawSubject(subject) {
    const lag = subject === null ? 0 : Math.max(0, subject.head - subject.cursor);
    this.#set("Way", subject?.way ?? "–");
    this.#set("Cursor", subject === null ? "–" : count(subject.cursor));
    this.#set("Head", subject === null ? "–" : count(subject.head));
    this.#set("Lag", subject === null ? "–" : lag === 0 ? "none" : `${count(lag)} behind`);
    this.#set("Latency", this.#meter.messages === 0 ? "–" : milliseconds(this.#meter.latencyMs));
    this.#set("Why", subject?.why ?? "");
  }

  #drawRecent() {
    const lines = this.#meter.recent.map(({ direction, words }) => `${direction === "in" ? "←" : "→"} ${words}`).reverse();
    lines.forEach((line, place) => {
      const item = this.#recent.children[place] ?? this.#recent.appendChild(make("li"));
      say(item, line);
    });
  }

  /**
   * @param {string} title
   * @param {Node[]} content
   */
  #section(title, ...content) {
    return make("section", {}, make("h3", {}, title), ...content);
  }

  /** @param {string[]} names */
  #table(names) {
    return make("dl", { class: "table" }, ...names.map((name) => make("div", {}, make("dt", {}, name), this.#value(name, "dd"))));
  }

  /**
   * @param {string} name
   * @param {string} tag
   */
  #value(name, tag) {
    const element = make(tag, { class: "value", "data-value": name });
    this.#values.set(name, element);
    return element;
  }

  /**
   * @param {string} name
   * @param {string} words
   */
  #set(name, words) {
    const element = this.#values.get(name);
    if (element !== undefined) say(element, words);
  }
}

/**
 * @param {{name: string, title: string, about: string}} one
 * @param {(name: string, on: boolean) => void} onSwitch
 */
function switchOf({ name, title, about }, onSwitch) {
  const id = `switch-${name}`;
  const input = /** @type {HTMLInputElement} */ (
    make("input", { id, type: "checkbox", role: "switch", class: "switch", "aria-describedby": `${id}-about` })
  );
  input.addEventListener("change", () => onSwitch(name, input.checked));
  // A page that comes back from a reload begins with a device that is treated well.
  input.autocomplete = "off";
  return make(
    "div",
    { class: "switch-row" },
    make("label", { for: id }, title),
    input,
    make("p", { id: `${id}-about` }, about),
  );
}

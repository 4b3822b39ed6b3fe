/** The last minute as two lines: messages taken and frames that went over the wire, each second. */

import { make } from "./elements.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 56];
const SECONDS = 60;
/** The top of the scale is never less: one message a second is a ripple and no wave. */
const LEAST = 5;

export class Chart {
  #messages = line("messages");
  #frames = line("frames");
  #top = make("span", { class: "chart-top" });
  element;

  constructor() {
    const picture = document.createElementNS(SVG, "svg");
    picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", "Messages and frames of each second of the last minute; in figures below");
    picture.append(this.#frames, this.#messages);
    this.element = make(
      "figure",
      { class: "chart" },
      picture,
      make("figcaption", {}, make("span", { class: "key messages" }, "messages"), make("span", { class: "key frames" }, "frames"), this.#top),
    );
  }

  /** @param {{messages: number, frames: number}[]} seconds the last one is under way */
  draw(seconds) {
    const whole = seconds.slice(0, -1);
    const top = Math.max(LEAST, ...whole.flatMap(({ messages, frames }) => [messages, frames]));
    this.#messages.setAttribute("points", points(whole.map(({ messages }) => messages), top));
    this.#frames.setAttribute("points", points(whole.map(({ frames }) => frames), top));
    this.#top.textContent = `up to ${top}`;
  }
}

/** @param {string} name */
function line(name) {
  const element = document.createElementNS(SVG, "polyline");
  element.setAttribute("class", name);
  return element;
}

/**
 * @param {number[]} values
 * @param {number} top
 */
function points(values, top) {
  const left = SECONDS - values.length;
  return values
    .map((value, place) => `${(((left + place) / (SECONDS - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`)
    .join(" ");
}

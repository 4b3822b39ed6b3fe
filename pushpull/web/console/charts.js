/**
 * Live charts: lines over the last minutes, drawn as SVG at the size they have. What a chart shows is also a table,
 * for those who do not see it, and a sentence.
 */

import { h, s, show } from "./dom.js";
import { span } from "./format.js";

/** @typedef {{name: string, of: (sample: any) => number | null}} Line */
/** @typedef {{title: string, unit: string, lines: Line[], write: (value: number | null) => string}} What */
/** @typedef {(value: number) => number} Scale */

const HEIGHT = 132;
const LEFT = 46;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;
const STEPS = [1, 2, 2.5, 5, 10];
const IN_TABLE = 12;
const SPANS_MS = [60_000, 120_000, 300_000];

/**
 * How far back charts go: as little as shows all there is.
 * @param {any[]} samples
 */
const spanOf = (samples) => {
  const long = samples.length ? samples.at(-1).at - samples[0].at : 0;
  return SPANS_MS.find((span) => long <= span) ?? SPANS_MS[SPANS_MS.length - 1];
};

/** @param {What} what */
export function chart({ title, lines, write, unit }) {
  const picture = s("svg", { class: "chart", role: "img", height: HEIGHT });
  const now = h("p", { class: "now" });
  const hint = h("p", { class: "hint", "aria-hidden": "true" });
  const rows = h("tbody");
  const table = h(
    "details",
    {},
    h("summary", {}, "As a table"),
    h(
      "table",
      { class: "plain" },
      h("caption", { class: "unseen" }, `${title}, ${unit}, the newest first`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "before"),
          ...lines.map((line) => h("th", { scope: "col", class: "number" }, line.name)),
        ),
      ),
      rows,
    ),
  );
  const element = h(
    "section",
    { class: "card graph" },
    h("div", { class: "head" }, h("h3", {}, title), now),
    h("div", { class: "drawing" }, picture, hint),
    table,
  );
  /** @type {any[]} */
  let samples = [];
  /** @type {number | null} */
  let pointed = null;

  picture.addEventListener("pointermove", (event) => {
    pointed = event.clientX - picture.getBoundingClientRect().left;
    draw();
  });
  picture.addEventListener("pointerleave", () => {
    pointed = null;
    draw();
  });
  new ResizeObserver(() => draw()).observe(picture);
  table.addEventListener("toggle", list);

  function draw() {
    const width = picture.clientWidth;
    if (!width) return;
    const spanMs = spanOf(samples);
    const last = samples.at(-1)?.at ?? Date.now();
    const x = (/** @type {number} */ at) => LEFT + (width - LEFT - RIGHT) * (1 - (last - at) / spanMs);
    const top = ceiling(Math.max(0, ...samples.flatMap((sample) => lines.map((line) => line.of(sample) ?? 0))));
    const y = (/** @type {number} */ value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    picture.replaceChildren(
      ...grid(width, top, y, spanMs),
      ...lines.flatMap((line, n) => drawn(samples, line, n, x, y)),
    );
    point(x, width);
  }

  /**
   * @param {Scale} x
   * @param {number} width
   */
  function point(x, width) {
    const at = pointed;
    const nearest =
      at === null || !samples.length
        ? null
        : samples.reduce((best, sample) => (Math.abs(x(sample.at) - at) < Math.abs(x(best.at) - at) ? sample : best));
    show(hint, nearest ? `${span(samples.at(-1).at - nearest.at)} ago: ${said(nearest)}` : "");
    if (!nearest) return;
    picture.append(s("line", { class: "cursor", x1: x(nearest.at), x2: x(nearest.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    hint.style.setProperty("left", `${Math.min(Math.max(x(nearest.at) - 70, 0), Math.max(0, width - 190))}px`);
  }

  const said = (/** @type {any} */ sample) =>
    lines.map((line) => `${lines.length > 1 ? `${line.name} ` : ""}${write(line.of(sample))}`).join(" · ");

  const legend = (/** @type {Line} */ line, /** @type {number} */ n, /** @type {any} */ sample) =>
    lines.length > 1
      ? h("span", { class: `key key-${n}` }, `${line.name} ${write(line.of(sample))}`)
      : write(line.of(sample));

  function list() {
    if (!table.open) return;
    const newest = samples.slice(-IN_TABLE).reverse();
    rows.replaceChildren(
      ...newest.map((sample) =>
        h(
          "tr",
          {},
          h("td", {}, span(newest[0].at - sample.at)),
          ...lines.map((line) => h("td", { class: "number" }, write(line.of(sample)))),
        ),
      ),
    );
  }

  return {
    element,
    /** @param {any[]} all */
    update(all) {
      samples = all;
      const newest = samples.at(-1);
      show(now, ...(newest ? lines.map((line, n) => legend(line, n, newest)) : []));
      picture.setAttribute(
        "aria-label",
        newest ? `${title}: ${said(newest)} now, over the last ${span(spanOf(samples))}` : title,
      );
      draw();
      list();
    },
  };
}

/**
 * @param {number} width
 * @param {number} top
 * @param {Scale} y
 * @param {number} spanMs
 */
function grid(width, top, y, spanMs) {
  const levels = [0, top / 2, top];
  return [
    ...levels.map((level) => s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(level), y2: y(level) })),
    ...levels.map((level) => s("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, short(level))),
    s("text", { x: LEFT, y: HEIGHT - 6 }, `${span(spanMs)} ago`),
    s("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, "now"),
  ];
}

/**
 * A line with gaps where there is no value, and the area below the first one.
 * @param {any[]} samples
 * @param {Line} line
 * @param {number} n
 * @param {Scale} x
 * @param {Scale} y
 */
function drawn(samples, line, n, x, y) {
  /** @type {[number, number][][]} */
  const pieces = [];
  /** @type {[number, number][]} */
  let piece = [];
  for (const sample of [...samples, null]) {
    const value = sample && line.of(sample);
    if (value === null || value === undefined) {
      if (piece.length) pieces.push(piece);
      piece = [];
    } else piece.push([x(sample.at), y(value)]);
  }
  const path = (/** @type {[number, number][]} */ points) =>
    points.map(([px, py], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  return pieces
    .flatMap((points) => [
      n === 0 &&
        s("path", {
          class: "area",
          d: `${path(points)}L${points[points.length - 1][0].toFixed(1)} ${y(0)}L${points[0][0].toFixed(1)} ${y(0)}Z`,
        }),
      points.length > 1
        ? s("path", { class: `line line-${n}`, d: path(points) })
        : s("circle", { class: `dot line-${n}`, cx: points[0][0], cy: points[0][1], r: 2.5 }),
    ])
    .filter((part) => part !== false);
}

/**
 * The next round number above.
 * @param {number} value
 */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * (STEPS.find((step) => step * power >= value) ?? 10);
}

/** @param {number} value */
function short(value) {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (value >= 1e4) return `${+(value / 1e3).toPrecision(3)}k`;
  return `${+value.toPrecision(3)}`;
}

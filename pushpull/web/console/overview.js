/** All nodes: what they hold, how they do, and how that went over the last minutes. */

import { get } from "./api.js";
import { chart } from "./charts.js";
import { h, show, table } from "./dom.js";
import { count, figure, ms, perSecond, share, span } from "./format.js";

const READY_MS = 5000;
const SHED = [
  "",
  "signals and presence are left out",
  "signals and receipts are left out",
  "all but messages is left out",
];

/** @param {string} name */
const rate = (name) => (/** @type {any} */ sample) => sample.total.per_s[name] ?? 0;

/** @type {import("./charts.js").What[]} */
const CHARTS = [
  {
    title: "Messages",
    unit: "a second",
    write: perSecond,
    lines: [
      { name: "delivered", of: rate("deliveries") },
      { name: "stored", of: rate("appends") },
    ],
  },
  {
    title: "Time to store",
    unit: "milliseconds",
    write: ms,
    lines: [
      { name: "99 %", of: (sample) => sample.total.append.p99_ms },
      { name: "half", of: (sample) => sample.total.append.p50_ms },
    ],
  },
  {
    title: "Redelivered",
    unit: "a second",
    write: perSecond,
    lines: [{ name: "redelivered", of: rate("redeliveries") }],
  },
  { title: "Demoted", unit: "a second", write: perSecond, lines: [{ name: "demoted", of: rate("demotions") }] },
  {
    title: "Notices and pulls",
    unit: "a second",
    write: perSecond,
    lines: [
      { name: "notices", of: rate("notices") },
      { name: "pulls", of: rate("pulls") },
    ],
  },
  {
    title: "Loop lag, worst node",
    unit: "milliseconds",
    write: ms,
    lines: [{ name: "lag", of: (sample) => sample.total.lag_ms }],
  },
];

export const overview = {
  title: "Overview",

  /**
   * @param {HTMLElement} place
   * @param {import("./console.js").Context} context
   */
  open(place, { signal, pulse, every }) {
    const tiles = h("dl", { class: "tiles four" });
    const health = h("p", { class: "health", role: "status" });
    const charts = CHARTS.map(chart);
    const nodes = nodesTable();
    place.append(
      health,
      tiles,
      h("h2", {}, "The last minutes"),
      h("div", { class: "graphs" }, ...charts.map((each) => each.element)),
      h("h2", {}, "Nodes"),
      nodes.element,
    );

    pulse.follow((samples) => {
      const newest = samples.at(-1);
      show(tiles, ...tilesOf(newest));
      for (const each of charts) each.update(samples);
      nodes.update(newest.nodes);
    }, signal);
    every(READY_MS, async () => {
      const { ready, checks } = await get("readyz", signal);
      const wrong = Object.entries(checks).filter(([, how]) => how !== "ok");
      health.className = ready ? "health good" : "health bad";
      show(
        health,
        ready
          ? "The node that answers is ready."
          : `Not ready: ${wrong.map(([what, how]) => `${what}: ${how}`).join("; ")}.`,
      );
    });
  },
};

/** @param {any} newest */
function tilesOf({ total, nodes }) {
  /** @type {(name: string, value: string, note: string, bad?: boolean) => HTMLElement} */
  const tile = (name, value, note, bad) =>
    h("div", { class: bad ? "tile bad" : "tile" }, h("dt", {}, name), h("dd", {}, value, note && h("small", {}, note)));
  return [
    tile("Nodes", count(nodes.length), "that live"),
    tile("Sessions", count(total.sessions), "connected devices"),
    tile("Feeds", count(total.feeds), "conversations listened to"),
    tile("Delivered", perSecond(total.per_s.deliveries ?? 0), "pushed or inline"),
    tile("Not acknowledged", count(total.windows), "windows that wait"),
    tile("Waiting sends", count(total.waiting_sends), "for Redis"),
    tile(
      "Load, worst node",
      share(total.load),
      SHED[total.shedding] || "nothing is left out",
      total.load > 0.9 || total.shedding > 0,
    ),
    tile("Closed, no ack", count(total.since_start.exhausted ?? 0), "since the start"),
  ];
}

function nodesTable() {
  /** @type {(pick: (figures: any) => number, write?: (value: number) => string) => (row: any) => string} */
  const of =
    (pick, write = figure) =>
    (row) =>
      row.figures ? write(pick(row.figures)) : "–";
  return table(
    "Nodes that live",
    [
      {
        name: "Node",
        cell: (row) =>
          [h("code", {}, row.node), " ", row.draining && h("span", { class: "badge warn" }, "going away")].filter(
            Boolean,
          ),
        wide: true,
      },
      { name: "Sessions", number: true, cell: of((f) => f.sessions, count) },
      { name: "Feeds", number: true, cell: of((f) => f.feeds, count) },
      { name: "Delivered", number: true, cell: of((f) => f.per_s.deliveries, perSecond) },
      { name: "Redelivered", number: true, cell: of((f) => f.per_s.redeliveries, perSecond) },
      { name: "Store 99 %", number: true, cell: of((f) => f.append.p99_ms, ms) },
      { name: "Lag", number: true, cell: of((f) => f.lag_ms, ms) },
      { name: "Load", number: true, cell: of((f) => f.load, share) },
      { name: "Up", number: true, cell: (row) => (row.started_at ? span(Date.now() - row.started_at) : "–") },
    ],
    (row) => row.node,
    "No node says that it lives.",
  );
}

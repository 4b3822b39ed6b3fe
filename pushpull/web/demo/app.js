/** The application: one chat of the client, and the views of it. */

import { connect } from "../sdk/pushpull.js";
import { freshToken, nameOf, somebodyElse } from "./cast.js";
import { Composer } from "./composer.js";
import { countingSocket } from "./counting.js";
import { CrowdControl } from "./crowd_control.js";
import { byId, onceAFrame } from "./elements.js";
import { Ledger } from "./ledger.js";
import { Log } from "./log.js";
import { Meter } from "./meter.js";
import { Room } from "./room.js";
import { Sending } from "./sending.js";
import { Side } from "./side.js";
import { Speaker } from "./speaker.js";
import { Switches } from "./switches.js";
import { showMe, showState, ThreadHead } from "./thread_head.js";
import { WireView } from "./wire_view.js";
import { textOf } from "./words.js";

/** Further behind than this, what lies between is history to scroll through and not messages to take. */
const MAX_BACKLOG = 5000;
const READ_MS = 400;
const WIDE = matchMedia("(min-width: 45rem)");
const ORDER = ["group", "crowd", "pair"];

export class App {
  #me;
  #meter = new Meter();
  #ledger = new Ledger();
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Room | null} */
  #open = null;
  #chat;
  #switches;
  #side = new Side((cid) => this.#go(cid));
  #speaker = new Speaker();
  #head = new ThreadHead();
  #composer;
  #log;
  #crowd;
  #wire;
  #readAt = 0;
  #sending;
  #drawSide = onceAFrame(() => this.#showSide());

  /** @param {import("./cast.js").Person} person */
  constructor({ user }) {
    this.#me = user;
    this.#chat = connect({
      getToken: () => freshToken(user),
      user,
      receipts: true,
      maxBacklog: MAX_BACKLOG,
      client: "pushpull-demo/1",
      WebSocket: countingSocket(this.#meter),
    });
    this.#switches = new Switches(this.#chat);
    this.#wire = new WireView({ chat: this.#chat, meter: this.#meter, ledger: this.#ledger, switches: this.#switches });
    this.#sending = new Sending(this.#chat, { roomOf: (cid) => this.#roomOf(cid), changed: () => this.#log.draw() });
    this.#composer = new Composer({
      send: (text) => {
        if (this.#open) this.#sending.send(this.#open, text);
        this.#log.toEnd();
      },
      typing: () => this.#open && this.#chat.signal(this.#open.cid, { typing: true }),
      draft: (text) => {
        if (this.#open) this.#open.draft = text;
        this.#drawSide();
      },
    });
    this.#log = new Log(
      { box: byId("log"), newer: byId("newer"), empty: byId("empty") },
      {
        view: () => ({ me: this.#me, online: this.#chat.state === "open" }),
        onEnd: () => this.#markRead(),
        onAction: (action, cmid) => {
          if (this.#open) this.#sending.act(this.#open, action, cmid);
          this.#composer.focus();
        },
      },
    );
    this.#crowd = new CrowdControl(user);
  }

  start() {
    byId("app").hidden = false;
    showMe(this.#me, somebodyElse(this.#me));
    showState("connecting");
    this.#listen();
    this.#listenToThePage();
    this.#chat.ready.then(
      () => this.#arrive(),
      (/** @type {any} */ error) => showState("closed", error),
    );
  }

  /** The list is there soon after the first session is. */
  #arrive() {
    this.#sending.restore();
    this.#wire.start();
    this.#drawSide();
  }

  #listen() {
    const chat = this.#chat;
    chat.on("message", (/** @type {any} */ message) => this.#onMessage(message));
    chat.on("reset", (/** @type {any} */ reset) => this.#onReset(reset));
    chat.on("signal", (/** @type {any} */ { cid, from, body }) => {
      if (body?.typing === true && from !== null) this.#roomOf(cid).onTyping(from);
      this.#showTyping();
    });
    chat.on("receipt", (/** @type {any} */ receipt) => {
      this.#roomOf(receipt.cid).onReceipt(receipt);
      this.#log.draw();
    });
    chat.on("change", () => this.#drawSide());
    chat.on("state", (/** @type {any} */ { state }) => {
      showState(state === "connecting" && this.#switches.isCut ? "cut" : state);
      this.#log.draw();
    });
    chat.on("end", (/** @type {any} */ { error }) => showState("closed", error));
    chat.on("wire", (/** @type {any} */ { direction, frame }) => this.#meter.frame(direction, frame, Date.now()));
  }

  #listenToThePage() {
    addEventListener("hashchange", () => this.#follow());
    document.addEventListener("visibilitychange", () => this.#log.draw());
    byId("back").addEventListener("click", () => this.#go(""));
    WIDE.addEventListener("change", () => this.#follow());
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#wire.escape()) return;
      if (document.body.dataset.view === "thread" && !WIDE.matches) this.#go("");
      else this.#side.focus();
    });
  }

  /** @param {any} message */
  #onMessage(message) {
    this.#ledger.take(message);
    this.#meter.taken(message, Date.now());
    const room = this.#roomOf(message.cid);
    room.onMessage(message);
    if (room === this.#open) {
      this.#log.draw();
      this.#showTyping();
      if (message.from !== this.#me && message.seq > room.openedAt) this.#speaker.heard(room, nameOf(message.from), textOf(message));
    }
    this.#drawSide();
    return this.#switches.took(message);
  }

  /**
   * The conversation goes on elsewhere: what is held does not join what comes. What is still kept is history.
   * @param {any} reset
   */
  #onReset(reset) {
    this.#ledger.reset(reset);
    const room = this.#roomOf(reset.cid);
    room.timeline.reset();
    if (room === this.#open) void room.load();
  }

  // ------------------------------------------------------------------------------------------------ look

  /** @param {string} cid "": to the list */
  #go(cid) {
    const hash = cid === "" ? "" : `#${cid.replace(/^demo:/, "")}`;
    if (location.hash === hash) this.#follow();
    else location.hash = hash;
  }

  /** Show what the address says; on a wide screen there is always a conversation beside the list. */
  #follow() {
    const named = location.hash.length > 1 ? `demo:${decodeURIComponent(location.hash.slice(1))}` : "";
    const listed = this.#sorted();
    const room = listed.find(({ cid }) => cid === named) ?? (WIDE.matches ? listed[0] : undefined);
    document.body.dataset.view = room === undefined ? "list" : "thread";
    if (room !== undefined && room !== this.#open) this.#show(room);
    if (room === undefined) this.#leave();
  }

  /** @param {Room} room */
  #show(room) {
    const hadFocus = document.activeElement === document.body || this.#open !== null || !WIDE.matches;
    this.#open = room;
    room.openedAt = room.row?.head ?? 0;
    room.newAbove = (room.row?.unread ?? 0) > 0 ? room.row.read : 0;
    this.#chat.focus(room.cid);
    this.#head.show(room);
    this.#crowd.show(room.isHot);
    this.#composer.show(room.draft);
    this.#log.show(room);
    this.#speaker.quiet();
    this.#side.select(room.cid);
    this.#wire.show(room);
    void room.load();
    void room.loadOthers();
    if (WIDE.matches) this.#composer.focus();
    else if (hadFocus) byId("title").focus();
    this.#drawSide();
  }

  /** Back to the list, on a narrow screen. */
  #leave() {
    if (this.#open === null) return;
    this.#open = null;
    this.#log.room = null;
    this.#chat.focus(null);
    this.#wire.show(null);
    this.#side.focus();
    this.#drawSide();
  }

  /** The reader sees the newest message. */
  #markRead() {
    const room = this.#open;
    if (room === null || document.visibilityState === "hidden" || !room.timeline.loaded) return;
    const { last } = room.timeline;
    if (last <= (room.row?.read ?? 0) || last <= room.readUpTo) return;
    const waitMs = this.#readAt + READ_MS - performance.now();
    if (waitMs > 0) {
      setTimeout(() => this.#log.draw(), waitMs);
      return;
    }
    this.#readAt = performance.now();
    room.readUpTo = last;
    this.#chat.read(room.cid, last);
  }

  #showTyping() {
    const names = this.#open?.typing.map(nameOf) ?? [];
    this.#head.showTyping(names);
  }

  #showSide() {
    const listed = this.#sorted();
    const isFirst = listed.length > 0 && this.#open === null && document.body.dataset.view === undefined;
    this.#side.show(listed, this.#open?.cid ?? null, this.#me);
    if (this.#open !== null) this.#head.show(this.#open);
    const elsewhere = listed.filter((room) => room !== this.#open || document.visibilityState === "hidden");
    const unread = elsewhere.reduce((total, room) => total + (room.row?.unread ?? 0), 0);
    document.title = `${unread > 0 ? `(${unread > 999 ? "999+" : unread}) ` : ""}${nameOf(this.#me)} · pushpull demo`;
    if (isFirst) {
      this.#follow();
      for (const room of listed) if (!room.isHot) void room.load();
    }
  }

  /** @returns {Room[]} */
  #sorted() {
    const place = (/** @type {Room} */ room) => ORDER.indexOf(room.row?.data?.kind);
    return [...this.#chat.conversations.keys()]
      .map((cid) => this.#roomOf(cid))
      .sort((one, other) => place(one) - place(other) || (one.cid < other.cid ? -1 : 1));
  }

  /** @param {string} cid */
  #roomOf(cid) {
    const known = this.#rooms.get(cid);
    if (known !== undefined) return known;
    const room = new Room(this.#chat, cid, () => {
      this.#log.draw();
      this.#showTyping();
      this.#drawSide();
    });
    this.#rooms.set(cid, room);
    return room;
  }
}

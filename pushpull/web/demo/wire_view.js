/** When the panel of the wire is shown, and what of: drawn twice a second while somebody sees it. */

import { byId } from "./elements.js";
import { WirePanel } from "./wire_panel.js";

const DRAW_MS = 500;
const SECOND_MS = 1000;
const ASK_MS = 2500;
/** From here on there is room for it beside the rest. */
const ROOMY = matchMedia("(min-width: 70rem)");

export class WireView {
  #chat;
  #meter;
  #panel;
  #element = byId("wire");
  #button = byId("show-wire");
  /** @type {import("./room.js").Room | null} */
  #room = null;
  #way = "–";
  #why = "";

  /**
   * @param {{chat: any, meter: import("./meter.js").Meter, ledger: import("./ledger.js").Ledger,
   *   switches: import("./switches.js").Switches}} parts
   */
  constructor({ chat, meter, ledger, switches }) {
    this.#chat = chat;
    this.#meter = meter;
    this.#panel = new WirePanel(meter, ledger, (name, on) => /** @type {any} */ (switches)[name](on));
    this.#button.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    byId("hide-wire").addEventListener("click", () => this.close());
    if (ROOMY.matches) this.#toggle(true);
  }

  get isOpen() {
    return document.body.dataset.wire === "open";
  }

  start() {
    setInterval(() => this.#meter.tick(), SECOND_MS);
    setInterval(() => this.isOpen && this.#draw(), DRAW_MS);
    setInterval(() => this.isOpen && void this.#ask(), ASK_MS);
    this.#draw();
  }

  /** @param {import("./room.js").Room | null} room */
  show(room) {
    this.#room = room;
    this.#way = "–";
    this.#why = "";
    void this.#ask();
  }

  open() {
    this.#toggle(true);
    byId("wire-title").focus();
    void this.#ask();
  }

  close() {
    this.#toggle(false);
    this.#button.focus();
  }

  /** Escape was pressed. False where that means something else: the panel is closed, or stands beside what one does. */
  escape() {
    if (!this.isOpen || (ROOMY.matches && !this.#element.contains(document.activeElement))) return false;
    this.close();
    return true;
  }

  /** @param {boolean} open */
  #toggle(open) {
    document.body.dataset.wire = open ? "open" : "closed";
    this.#button.setAttribute("aria-expanded", String(open));
    if (open) this.#draw();
  }

  /** How this conversation comes to those who look at it, and why: the service knows. */
  async #ask() {
    const room = this.#room;
    if (room === null || !this.isOpen || this.#chat.state !== "open") return;
    try {
      const { on_screen: onScreen } = await this.#chat.call("GET", `/conversations/${encodeURIComponent(room.cid)}`);
      if (room !== this.#room) return;
      this.#way = onScreen.way;
      this.#why = onScreen.why;
    } catch {
      this.#why = ""; // asked again soon
    }
  }

  #draw() {
    const room = this.#room;
    const cursor = room === null ? 0 : Number.parseInt(this.#chat.positions.get(room.cid) ?? "0", 10);
    const head = Math.max(room?.row?.head ?? 0, cursor);
    this.#panel.draw(room === null ? null : { cid: room.cid, way: this.#way, why: this.#why, cursor, head });
  }
}

/**
 * The operator's console: asks for a server key, then shows one view at a time, named by the part of the address after
 * “#”.
 *
 * A view is `{title, open(place, context)}`: it fills the place and asks for what it shows as long as `context.signal`
 * lives.
 */

import { call, forgetKey, heldKey, holdKey, isAborted } from "./api.js";
import { conversation, conversations } from "./conversations.js";
import { h, show } from "./dom.js";
import { login } from "./login.js";
import { offline } from "./offline.js";
import { overview } from "./overview.js";
import { policy } from "./policy.js";
import { Pulse, REST } from "./pulse.js";
import { sessions } from "./sessions.js";

/**
 * @typedef {object} Context
 * @property {AbortSignal} signal the view is left
 * @property {Pulse} pulse
 * @property {(milliseconds: number, ask: () => Promise<void>) => Promise<void>} every
 * @property {(error: any) => void} refused something was asked for, and was not done
 * @property {string} one what the address names in the view; empty: nothing
 */

/** @type {Record<string, {title: string, open: (place: HTMLElement, context: Context) => void}>} */
const VIEWS = { overview, conversations, policy, sessions, offline };

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

const main = byId("main");
const side = byId("side");
const state = byId("state");
const skip = byId("skip");

/** @type {Pulse | null} */
let pulse = null;
let leaving = new AbortController();

/** What the address names: a view and, in it, one conversation or user. */
function named() {
  const [, view = "", ...rest] = location.hash.split("/");
  let one = "";
  try {
    one = decodeURIComponent(rest.join("/"));
  } catch {
    // not written by this page: the view itself is shown
  }
  if (view === "conversations" && one) return { view: conversation, name: view, one };
  return VIEWS[view] ? { view: VIEWS[view], name: view, one } : { view: overview, name: "overview", one: "" };
}

/**
 * Ask again and again while the view is open, less often where answers take long: a page that is looked at is to be no
 * burden. That there is no answer is said below the navigation.
 */
function context() {
  const { signal } = leaving;
  return {
    signal,
    pulse: /** @type {Pulse} */ (pulse), // there has been one since a key was taken
    /**
     * @param {number} milliseconds
     * @param {() => Promise<void>} ask
     */
    async every(milliseconds, ask) {
      while (!signal.aborted) {
        const began = performance.now();
        if (document.visibilityState === "visible") {
          try {
            await ask();
            answered();
          } catch (error) {
            troubled(error);
          }
        }
        const took = performance.now() - began;
        await new Promise((resolve) => setTimeout(resolve, Math.max(milliseconds, took * REST)));
      }
    },
    refused: troubled,
  };
}

function answered() {
  show(state);
  state.className = "state";
}

/** @param {any} error */
function troubled(error) {
  if (isAborted(error)) return;
  if (error.status === 401) {
    leave("The service no longer takes this key.");
    return;
  }
  show(state, `${error.message}. Trying again…`);
  state.className = "state bad";
  if (error.status === undefined) console.error(error); // a fault of this page
}

/** @param {{focus: boolean}} how */
function open({ focus }) {
  leaving.abort();
  leaving = new AbortController();
  const { view, name, one } = named();
  for (const link of document.querySelectorAll("#views a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = one || view.title;
  document.title = `${title} · pushpull console`;
  const heading = h("h1", { tabindex: "-1" }, title);
  const place = h("div", { class: "view" });
  main.replaceChildren(h("div", { class: "heading" }, heading), place);
  view.open(place, { ...context(), one });
  if (focus) heading.focus(); // whoever listens hears where they are
  scrollTo(0, 0);
}

/** @param {{focus: boolean}} how */
function enter({ focus }) {
  side.hidden = skip.hidden = false;
  document.body.classList.remove("outside");
  pulse = new Pulse(troubled, answered);
  open({ focus });
}

function leave(why = "") {
  leaving.abort();
  pulse?.stop();
  pulse = null;
  forgetKey();
  answered();
  side.hidden = skip.hidden = true;
  document.body.classList.add("outside");
  document.title = "pushpull console";
  login(main, why, async (key) => {
    await call("GET", "v1/nodes", { key });
    holdKey(key);
    enter({ focus: true });
  });
}

addEventListener("hashchange", () => heldKey() && open({ focus: true }));
byId("leave").addEventListener("click", () => leave());
skip.addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  main.focus();
});
if (heldKey()) enter({ focus: false });
else leave();

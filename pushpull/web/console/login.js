/** Asking for the server key. */

import { h, show } from "./dom.js";

const WRONG = "This is not one of the service's keys.";
const WHERE = "The keys are set as auth.api_keys; a service that made its own keeps it in data/api_key.";

/**
 * @param {HTMLElement} place
 * @param {string} why what ended the last visit; empty: nothing
 * @param {(key: string) => Promise<void>} tried resolves where the key opens; rejects with Refused
 */
export function login(place, why, tried) {
  const key = h("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "where problem",
  });
  const problem = h("p", { class: "problem", id: "problem", role: "alert" }, why);
  const button = h("button", { class: "main" }, "Open");
  const form = h(
    "form",
    { class: "card login" },
    h("img", { src: "console/icon.svg", alt: "", width: 44, height: 44 }),
    h("h1", {}, "Operator console"),
    h("p", { class: "soft" }, "It shows what the service's HTTP calls answer, and needs a server key for them."),
    h("label", { for: "key" }, "Server key"),
    key,
    problem,
    button,
    h("p", { class: "soft small", id: "where" }, `${WHERE} It stays in this tab and is forgotten with it.`),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    key.removeAttribute("aria-invalid");
    show(problem);
    try {
      await tried(key.value.trim());
    } catch (error) {
      const { status, message } = /** @type {import("./api.js").Refused} */ (error);
      show(problem, status === 401 || status === 403 ? WRONG : `Not opened: ${message}.`);
      key.setAttribute("aria-invalid", "true");
      button.disabled = false;
      key.select();
    }
  });
  place.replaceChildren(form);
  key.focus();
}

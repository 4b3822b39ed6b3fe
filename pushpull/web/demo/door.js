/** The door: whom would you like to be? */

import { hueOf } from "./cast.js";
import { byId, make } from "./elements.js";

/** @param {import("./cast.js").Person[]} people */
export function openDoor(people) {
  byId("door").hidden = false;
  byId("people").replaceChildren(
    ...people.map(({ user, name, about }) =>
      make(
        "li",
        {},
        make(
          "a",
          { class: "person", href: `?as=${encodeURIComponent(user.replace(/^demo:/, ""))}` },
          make("span", { class: "face", "data-hue": hueOf(user), "aria-hidden": "true" }, name[0]),
          make("span", { class: "person-words" }, make("strong", {}, name), make("span", {}, about)),
        ),
      ),
    ),
  );
}

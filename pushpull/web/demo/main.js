/** The page: who one is comes from `?as=`, and where that says nothing one is asked at the door. */

import { App } from "./app.js";
import { loadCast } from "./cast.js";
import { openDoor } from "./door.js";
import { byId } from "./elements.js";

async function start() {
  const people = await loadCast();
  const wanted = new URLSearchParams(location.search).get("as");
  const person = people.find(({ user }) => user === wanted || user === `demo:${wanted}`);
  if (person === undefined) openDoor(people);
  else new App(person).start();
}

start().catch((error) => {
  openDoor([]);
  byId("door-problem").textContent = `The service cannot be reached: ${error.message}`;
});

/** Who is who, as the service says; and what it gives to them. */

/** @typedef {{user: string, name: string, about: string}} Person */

const ROOT = new URL("../demo/", import.meta.url);

/** @type {Map<string, Person>} */
const people = new Map();
let hot = "";
let hotMembers = 0;

/** Whom one may be, in the order to offer them. */
export async function loadCast() {
  const cast = await ask("GET", "cast");
  hot = cast.hot;
  hotMembers = cast.hot_members;
  for (const person of cast.people) people.set(person.user, person);
  return [...people.values()];
}

/** @param {string} cid whether this is the group with the crowd */
export const isHot = (cid) => cid === hot;

/** How many members that group has. */
export const crowdSize = () => hotMembers;

/** The newest token. */
let token = "";

/**
 * A fresh token for one of the cast. The client asks for one at the start, and again before it expires.
 * @param {string} user
 * @returns {Promise<string>}
 */
export async function freshToken(user) {
  token = (await ask("POST", "session", { body: { user } })).token;
  return token;
}

/**
 * Say that the crowd is watched, and with `rate` how many messages a second it is to say. Resolves with the rate in force.
 * @param {string} user
 * @param {number} [rate]
 * @returns {Promise<number>}
 */
export async function watchCrowd(user, rate) {
  if (token === "") await freshToken(user);
  try {
    return (await ask("POST", "crowd", { body: { rate }, token })).rate;
  } catch (error) {
    token = ""; // it may have been the token
    throw error;
  }
}

/** @param {string | null} user one or two characters to stand for somebody */
export function initialOf(user) {
  const fan = /fan-(\d+)$/.exec(user ?? "");
  return fan === null ? nameOf(user)[0] : fan[1].slice(-2);
}

/** @param {string | null} user */
export function nameOf(user) {
  if (user === null) return "pushpull";
  const known = people.get(user)?.name;
  if (known !== undefined) return known;
  const fan = /fan-(\d+)$/.exec(user);
  return fan === null ? user : `Fan ${Number(fan[1])}`;
}

/** @param {string} user someone who may be played, and is not this one */
export const somebodyElse = (user) => {
  const names = [...people.keys()];
  return /** @type {Person} */ (people.get(names[(names.indexOf(user) + 1) % names.length]));
};

/**
 * One of six colours, always the same for the same user.
 * @param {string | null} user
 */
export function hueOf(user) {
  const place = [...people.keys()].indexOf(user ?? "");
  if (place >= 0) return String(place);
  let sum = 0;
  for (const letter of user ?? "") sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return String(sum % 6);
}

/**
 * @param {string} method
 * @param {string} name
 * @param {{body?: unknown, token?: string}} [more]
 */
async function ask(method, name, { body, token: bearer } = {}) {
  const answer = await fetch(new URL(name, ROOT), {
    method,
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail ?? `the service answered ${answer.status}`);
}

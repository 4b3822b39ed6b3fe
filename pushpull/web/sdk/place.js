/** Who this device is at a service, and where it keeps what it has to remember. */

import { randomName } from "./sender.js";
import { forgiving, indexedDbStore, memoryStore } from "./storage.js";
import { eachFreeSlot, takeSlot } from "./tabs.js";

/** @typedef {import("./storage.js").Store} Store */

const DEVICE_KEY = "pushpull device";

/**
 * @typedef {object} Place
 * @property {string} device its name at the service
 * @property {Store} store
 * @property {boolean} keeps it remembers over a reload
 * @property {(take: (sends: import("./storage.js").StoredSend[]) => void) => Promise<void>} adopt what closed tabs left to send
 * @property {() => void} leave
 */

/**
 * Where this page stands. With `indexeddb` each tab has a slot, and so a name and a store, of its own.
 * @param {{store?: "memory" | "indexeddb" | Store, device?: string, user: string, service: string,
 *   onTrouble: (error: unknown) => void}} options
 * @returns {Promise<Place>}
 */
export async function settle({ store, device, user, service, onTrouble }) {
  const wanted = store ?? (typeof indexedDB === "undefined" ? "memory" : "indexeddb");
  if (wanted !== "indexeddb") {
    const own = wanted === "memory" ? memoryStore() : forgiving(wanted, onTrouble);
    const name = device ?? `web-${randomName().slice(0, 12)}`;
    return { device: name, store: own, keeps: wanted !== "memory", adopt: async () => {}, leave: () => own.close() };
  }
  const named = device ?? browserName();
  const name = `${new URL(service).host} ${user} ${named}`;
  const { slot, release } = await takeSlot(name);
  const open = (/** @type {string} */ of) => indexedDbStore(`pushpull ${name} ${of}`);
  const kept = await opened(() => open(slot), onTrouble);
  return {
    device: slot === "1" ? named : `${named}-${slot}`,
    store: kept,
    keeps: true,
    adopt: (take) => adopt(name, slot, { open, kept, take }).catch(onTrouble),
    leave: () => {
      kept.close();
      release();
    },
  };
}

/**
 * @param {() => Promise<Store>} open
 * @param {(error: unknown) => void} onTrouble
 */
async function opened(open, onTrouble) {
  try {
    return forgiving(await open(), onTrouble);
  } catch (error) {
    onTrouble(error);
    return memoryStore();
  }
}

/**
 * Take over what closed tabs have in their outboxes: first into one's own store, then out of theirs.
 * @param {string} name
 * @param {string} slot
 * @param {{open: (slot: string) => Promise<Store>, kept: Store,
 *   take: (sends: import("./storage.js").StoredSend[]) => void}} parts
 */
async function adopt(name, slot, { open, kept, take }) {
  const known = new Set((await indexedDB.databases?.())?.map((database) => database.name));
  await eachFreeSlot(name, slot, async (other) => {
    if (!known.has(`pushpull ${name} ${other}`)) return;
    const theirs = await open(other);
    const { outbox } = await theirs.load();
    for (const send of outbox) await kept.putSend(withoutNumber(send));
    take(outbox);
    for (const { cid, cmid } of outbox) await theirs.removeSend(cid, cmid);
    theirs.close();
  });
}

/** @param {any} send as it was read: its place in the other outbox is no place in this one */
const withoutNumber = ({ number, ...send }) => send;

/** A name for this browser, made once. */
function browserName() {
  try {
    const name = localStorage.getItem(DEVICE_KEY) ?? `web-${randomName().slice(0, 12)}`;
    localStorage.setItem(DEVICE_KEY, name);
    return name;
  } catch {
    return `web-${randomName().slice(0, 12)}`;
  }
}

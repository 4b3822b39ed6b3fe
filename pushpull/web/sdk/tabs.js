/**
 * Several tabs of one browser: each is a device of its own, so that none throws the others out (4409).
 *
 * Theory of operation. A device that keeps things has slots: the first tab takes slot 1, the second slot 2, as the lowest that is free. A Web
 * Lock holds a slot for as long as its tab lives, so a tab that is closed or crashes frees it, and the next one goes on from the positions that
 * are kept there. A tab remembers its slot over a reload and waits a moment for it, because the page before may not be gone yet.
 *
 * What a closed tab left in its outbox is taken over by whoever starts next: under the same cmids, so nothing is stored twice.
 *
 * Without Web Locks (pages without TLS, other than localhost) each tab has a random slot of its own, kept over reloads.
 */

import { randomName } from "./sender.js";

/** A user has 20 sessions at most, unless the operator said otherwise. */
const SLOTS = 32;
const RELOAD_MS = 1000;

/** @typedef {{slot: string, release: () => void}} Slot */

/**
 * Take a slot of the device `name`, for as long as this page lives or until `release`.
 * @param {string} name
 * @returns {Promise<Slot>}
 */
export async function takeSlot(name) {
  const key = `pushpull slot of ${name}`;
  const before = recall(key);
  if (navigator.locks === undefined) {
    const slot = before ?? randomName().slice(0, 12);
    remember(key, slot);
    return { slot, release: () => {} };
  }
  const taken = (before === null ? null : await hold(name, before, { waitMs: RELOAD_MS })) ?? (await lowestFree(name));
  remember(key, taken.slot);
  return taken;
}

/**
 * The slots of `name` that nobody holds, other than one's own, one after the other; each is held while it is looked at.
 * @param {string} name
 * @param {string} own
 * @param {(slot: string) => Promise<void>} look
 */
export async function eachFreeSlot(name, own, look) {
  if (navigator.locks === undefined) return;
  for (let number = 1; number <= SLOTS; number += 1) {
    const slot = String(number);
    const held = slot === own ? null : await hold(name, slot, {});
    if (held === null) continue;
    await look(slot).finally(held.release);
  }
}

/**
 * @param {string} name
 * @returns {Promise<Slot>}
 */
async function lowestFree(name) {
  for (let number = 1; number <= SLOTS; number += 1) {
    const held = await hold(name, String(number), {});
    if (held !== null) return held;
  }
  return { slot: randomName().slice(0, 12), release: () => {} };
}

/**
 * @param {string} name
 * @param {string} slot
 * @param {{waitMs?: number}} how without `waitMs` only a lock that is free
 * @returns {Promise<Slot | null>}
 */
function hold(name, slot, { waitMs }) {
  const how = waitMs === undefined ? { ifAvailable: true } : { signal: AbortSignal.timeout(waitMs) };
  return new Promise((resolve) => {
    const request = navigator.locks.request(`pushpull ${name} ${slot}`, how, (lock) => {
      if (lock === null) {
        resolve(null);
        return undefined;
      }
      return new Promise((release) => resolve({ slot, release: () => release(undefined) }));
    });
    request.catch(() => resolve(null));
  });
}

/** @param {string} key */
function recall(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null; // a browser that forbids it
  }
}

/**
 * @param {string} key
 * @param {string} slot
 */
function remember(key, slot) {
  try {
    sessionStorage.setItem(key, slot);
  } catch {
    // The next page takes the lowest that is free.
  }
}

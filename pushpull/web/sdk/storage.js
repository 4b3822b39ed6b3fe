/**
 * Where a device keeps what outlives a page: its positions, and its outbox.
 *
 * A store is one device's. Calls of one store take effect in the order they are made. One that fails (no room, a browser that forbids it)
 * is told to `onTrouble` once, and the chat goes on from memory: it works, and forgets with the page.
 */

/**
 * A message that waits: `body` as JSON text, byte for byte; `queuedAt` in ms by the service's clock.
 * @typedef {{cid: string, cmid: string, body: string, kind: string, quiet: boolean, mentions: string[], ref: number | null,
 *   queuedAt: number}} StoredSend
 */

/**
 * @typedef {object} Store
 * @property {() => Promise<{positions: Map<string, string>, outbox: StoredSend[]}>} load positions, those that moved last at the end;
 *   sends in the order in which they were put
 * @property {(moved: Map<string, string | null>) => Promise<void>} savePositions null: the conversation was left
 * @property {(send: StoredSend) => Promise<void>} putSend
 * @property {(cid: string, cmid: string) => Promise<void>} removeSend
 * @property {() => void} close
 */

/** @returns {Store} */
export function memoryStore() {
  return {
    load: async () => ({ positions: new Map(), outbox: [] }),
    savePositions: async () => {},
    putSend: async () => {},
    removeSend: async () => {},
    close: () => {},
  };
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const answerOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * @param {IDBTransaction} transaction
 * @returns {Promise<void>}
 */
const endOf = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });

/**
 * Bounded by what the service bounds (conversations of a user) and by the outbox.
 * @param {string} name of the database
 * @returns {Promise<Store>}
 */
export async function indexedDbStore(name) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("positions", { keyPath: "cid" });
    opening.result.createObjectStore("sends", { keyPath: "number", autoIncrement: true }).createIndex("cmid", ["cid", "cmid"]);
  };
  const database = await answerOf(opening);
  database.onversionchange = () => database.close();

  /**
   * @param {string} table
   * @param {(rows: IDBObjectStore) => void} change
   */
  const write = async (table, change) => {
    const transaction = database.transaction(table, "readwrite", { durability: "relaxed" });
    const ended = endOf(transaction);
    change(transaction.objectStore(table));
    transaction.commit?.();
    await ended;
  };

  return {
    async load() {
      const transaction = database.transaction(["positions", "sends"], "readonly");
      const [positions, outbox] = await Promise.all([
        answerOf(transaction.objectStore("positions").getAll()),
        answerOf(transaction.objectStore("sends").getAll()),
      ]);
      positions.sort((one, other) => one.at - other.at);
      return { positions: new Map(positions.map(({ cid, pos }) => [cid, pos])), outbox };
    },
    savePositions: (moved) =>
      write("positions", (rows) => {
        for (const [cid, pos] of moved) {
          if (pos === null) rows.delete(cid);
          else rows.put({ cid, pos, at: Date.now() });
        }
      }),
    putSend: (send) => write("sends", (rows) => void rows.add(send)),
    removeSend: async (cid, cmid) => {
      const transaction = database.transaction("sends", "readwrite", { durability: "relaxed" });
      const ended = endOf(transaction);
      const rows = transaction.objectStore("sends");
      const finding = rows.index("cmid").getKey([cid, cmid]);
      finding.onsuccess = () => {
        if (finding.result !== undefined) rows.delete(finding.result);
      };
      await ended;
    },
    close: () => database.close(),
  };
}

/**
 * `store`, or memory from the moment on in which it fails.
 * @param {Store} store
 * @param {(error: unknown) => void} onTrouble
 * @returns {Store}
 */
export function forgiving(store, onTrouble) {
  let current = store;
  /**
   * @template T
   * @param {() => Promise<T>} call
   * @param {T} otherwise
   */
  const tried = async (call, otherwise) => {
    try {
      return await call();
    } catch (error) {
      if (current === store) onTrouble(error);
      current = memoryStore();
      return otherwise;
    }
  };
  return {
    load: () => tried(() => current.load(), { positions: new Map(), outbox: [] }),
    savePositions: (moved) => tried(() => current.savePositions(moved), undefined),
    putSend: (send) => tried(() => current.putSend(send), undefined),
    removeSend: (cid, cmid) => tried(() => current.removeSend(cid, cmid), undefined),
    close: () => store.close(),
  };
}

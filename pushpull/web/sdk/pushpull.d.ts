// Types of the pushpull client. What the options and events mean in full: docs/javascript.md.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Where a device keeps what outlives a page. Calls take effect in the order they are made; a rejection is told as `trouble`. */
export interface Store {
  /** Positions, those that moved last at the end; sends in the order in which they were put. */
  load(): Promise<{ positions: Map<string, string>; outbox: StoredSend[] }>;
  /** Before they are acked. null: the conversation was left. */
  savePositions(moved: Map<string, string | null>): Promise<void>;
  putSend(send: StoredSend): Promise<void>;
  removeSend(cid: string, cmid: string): Promise<void>;
  close(): void;
}

/** A message that waits: `body` is JSON text, to be kept byte for byte; `queuedAt` is ms by the service's clock. */
export interface StoredSend {
  cid: string;
  cmid: string;
  body: string;
  kind: string;
  quiet: boolean;
  mentions: string[];
  ref: number | null;
  queuedAt: number;
}

export interface Options {
  /** Of the service (http, https, ws or wss). Default: the service that this module was loaded from. */
  url?: string;
  /** Of several nodes, in place of `url`: one is chosen by chance, and another when it goes away. */
  urls?: string[];
  /** A JWT. A session ends with it: see `getToken`. */
  token?: string;
  /** Gives a fresh token each time it is called: at the start, before the last one expires, and when one was refused. */
  getToken?: () => string | Promise<string>;
  /** Names this installation; each further tab gets a number to it. Default: a random name, kept by the browser. */
  device?: string;
  /** Where positions and outbox are kept. Default: IndexedDB where there is one, else memory. */
  store?: "memory" | "indexeddb" | Store;
  /** The uid, where it is not to be read from the token's `sub`. It only names the store. */
  user?: string;
  /** Where to begin in conversations this device never saw. Default: `delivered`, what no device of the user has acked. */
  unnamed?: "delivered" | "all" | "head";
  /** Further behind than this a conversation begins at its head; what lies between is history. */
  maxBacklog?: number;
  /** Hear how far the others are in small conversations (`receipt`). */
  receipts?: boolean;
  /** Ack a message once all who take it are done with it. Default: true; else `chat.ack` does. */
  autoAck?: boolean;
  /** Your app's name and version, for the operator. */
  client?: string;
  /** The class to open connections with. Default: the platform's. */
  WebSocket?: typeof WebSocket;
}

export interface Message {
  type: "message";
  cid: string;
  id: string;
  seq: number;
  /** ms since 1970, when it was stored. */
  ts: number;
  /** null: the service itself. */
  from: string | null;
  cmid: string;
  kind: string;
  body: any;
  quiet: boolean;
  mentions: string[];
  ref: number | null;
  /** The edit whose body this carries. */
  edited: { seq: number; ts: number } | null;
}

/** Go on from `pos`: `diverged` throw away what lies above it; `trimmed` something below is gone; `epoch` throw all away. */
export interface Reset {
  type: "reset";
  cid: string;
  reason: "diverged" | "trimmed" | "epoch" | string;
  pos: string;
  epoch: string;
  head: number;
  floor: number;
}

/** The user's own cursors moved, by this device or another. */
export interface Cursors {
  type: "cursors";
  cid: string;
  delivered: number;
  read: number;
  unread: number;
}

/** How far another member is; null: as before. */
export interface Receipt {
  type: "receipt";
  cid: string;
  user: string;
  delivered: number | null;
  read: number | null;
}

export interface Signal {
  type: "signal";
  cid: string;
  from: string | null;
  body: any;
}

/** `joined`, `left`, `updated` or `deleted`. */
export interface Changed {
  type: "conversation";
  cid: string;
  change: string;
}

/** There are news in a conversation that is not on the screen (`focus`). They are left there until it is. */
export interface Noticed {
  type: "notice";
  cid: string;
  head: number;
  unread: number;
  mentioned: boolean;
}

/** The service refused something that nobody waits for. */
export interface Refused {
  type: "refused";
  cid: string | null;
  error: PushpullError;
}

export interface Sent {
  cid: string;
  cmid: string;
  id: string;
  dup: boolean;
}

/** In order with the messages, and waited for: the promise a listener returns holds the next one back. */
export type Event = Message | Reset | Cursors | Receipt | Signal | Changed | Noticed | Refused;

/** What listeners hear, by type. From `state` on they are told at once, beside the messages. */
export interface Events {
  message: Message;
  reset: Reset;
  cursors: Cursors;
  receipt: Receipt;
  signal: Signal;
  conversation: Changed;
  notice: Noticed;
  refused: Refused;
  state: { type: "state"; state: State };
  /** Something in `conversations` changed; cid null: perhaps in several. */
  change: { type: "change"; cid: string | null };
  /** `outbox` changed. */
  outbox: { type: "outbox" };
  /** A message is at the service, whoever waits for it; also those that an earlier page left. */
  sent: { type: "sent" } & Sent;
  /** A message was refused for good. */
  unsent: { type: "unsent"; cid: string; cmid: string; error: PushpullError };
  /** The chat is over and does not connect again. */
  end: { type: "end"; error: PushpullError };
  /** The store failed; from now on nothing outlives the page. */
  trouble: { type: "trouble"; error: unknown };
  /** Every frame, without its token. For panels and bug reports. */
  wire: { type: "wire"; direction: "in" | "out"; frame: any };
}

export type State = "connecting" | "open" | "closed";

export interface Conversation {
  cid: string;
  head: number;
  floor: number;
  delivered: number;
  read: number;
  joined: number;
  unread: number;
  mentions: number;
  mode: "push" | "notify" | string;
  notify: string;
  muteUntil: number | null;
  role: string;
  data: any;
}

export interface HistoryPage {
  messages: Message[];
  floor: number;
  more: boolean;
}

export interface SendOptions {
  kind?: string;
  /** The message's own id: sending it twice stores it once. Default: random. */
  cmid?: string;
  quiet?: boolean;
  mentions?: string[];
  ref?: number;
}

export class Chat {
  constructor(options: Options);
  /** Resolves with the first open session; rejects where there will be none. */
  readonly ready: Promise<void>;
  readonly device: string;
  readonly user: string;
  readonly state: State;
  autoAck: boolean;
  readonly conversations: ReadonlyMap<string, Conversation>;
  readonly positions: Map<string, string>;
  readonly outbox: (Omit<StoredSend, "body"> & { body: any })[];
  on<T extends keyof Events>(type: T, listener: (event: Events[T]) => unknown): () => void;
  messages(): AsyncIterableIterator<Message>;
  events(): AsyncIterableIterator<Event>;
  ack(message: { cid: string; id: string }): void;
  send(cid: string, body: unknown, more?: SendOptions): Promise<Sent>;
  read(cid: string, seq: number): void;
  signal(cid: string, body: unknown): void;
  focus(cid: string | null): void;
  history(cid: string, page?: { before?: number; limit?: number }): Promise<HistoryPage>;
  call(method: string, path: string, body?: unknown): Promise<any>;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** `code` is the contract's, or `connection_ended`; `closeCode` where a close ended the chat. */
export class PushpullError extends Error {
  readonly code: string;
  readonly temporary: boolean;
  readonly retryAfterMs: number | null;
  readonly closeCode: number;
  readonly reason: string;
}

export function connect(options: Options): Chat;
export function memoryStore(): Store;
export const VERSION: string;

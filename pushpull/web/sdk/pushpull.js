/**
 * The client of pushpull for browsers (and for Node from 22 on): one import, no dependencies, no build step.
 *
 *     import { connect } from "/sdk/pushpull.js";
 *
 *     const chat = connect({ token });
 *     chat.on("message", (message) => show(message));
 *     await chat.send("tea", { text: "Is the kettle on?" });
 *
 * The guide is docs/javascript.md, the types are in pushpull.d.ts, and what travels over the wire is docs/protocol.md.
 */

import { Chat, VERSION } from "./chat.js";
import { PushpullError } from "./errors.js";
import { memoryStore } from "./storage.js";

/**
 * A chat, which connects at once and stays connected until it is closed.
 * @param {import("./pushpull.d.ts").Options} options
 */
export const connect = (options) => new Chat(options);

export { Chat, memoryStore, PushpullError, VERSION };

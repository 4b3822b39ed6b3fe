/** What a device is told once, checked: which nodes it may dial, and what it says of itself there. */

import { urlsIn, websocketUrl } from "./addresses.js";
import { invalid } from "./errors.js";
import { FEATURE } from "./screen.js";
import { Rotation } from "./timing.js";

/** @typedef {import("./pushpull.d.ts").Options} Options */

/** @param {Options} options */
export const nodesOf = (options) => new Rotation(urlsIn(options).map(websocketUrl), Math.random);

/**
 * What a hello says beside token and positions; `device` is named once it is known.
 * @param {Options} options
 * @param {string} ownClient this release, where the owner names none
 */
export function helloOf({ unnamed = "delivered", maxBacklog, receipts = false, client }, ownClient) {
  if (!["delivered", "all", "head"].includes(unnamed)) throw invalid(`unnamed ${unnamed} is not delivered, all or head`);
  return {
    device: "",
    client: client ?? ownClient,
    features: receipts ? [FEATURE, "receipts"] : [FEATURE],
    unnamed,
    ...(maxBacklog === undefined ? {} : { max_backlog: maxBacklog }),
  };
}

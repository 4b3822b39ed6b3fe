/**
 * The figures of all nodes, asked for every two seconds, and those of the last minutes: charts go on whatever view is
 * open.
 */

import { get } from "./api.js";

const EVERY_MS = 2000;
/**
 * How many times as long as an answer took until the question is asked again, at the least: a page is to be no burden.
 */
export const REST = 10;
const SPAN_MS = 300_000;

export class Pulse extends EventTarget {
  #stopped = new AbortController();
  /** @type {any[]} Answers of `GET /v1/stats`, the oldest first; at most SPAN_MS long. */
  samples = [];

  /**
   * @param {(error: any) => void} troubled
   * @param {() => void} answered
   */
  constructor(troubled, answered) {
    super();
    this.#run(troubled, answered);
  }

  stop() {
    this.#stopped.abort();
  }

  /**
   * Call `listener` with the samples, now and whenever there is a new one, until `signal` ends.
   * @param {(samples: any[]) => void} listener
   * @param {AbortSignal} signal
   */
  follow(listener, signal) {
    this.addEventListener("sample", () => listener(this.samples), { signal });
    if (this.samples.length) listener(this.samples);
  }

  /**
   * @param {(error: any) => void} troubled
   * @param {() => void} answered
   */
  async #run(troubled, answered) {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        const stats = await get("v1/stats", signal);
        this.samples = [...this.samples.filter((sample) => stats.at - sample.at < SPAN_MS), stats];
        this.dispatchEvent(new Event("sample"));
        answered();
      } catch (error) {
        troubled(error);
      }
      const took = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, Math.max(EVERY_MS, took * REST)));
    }
  }
}

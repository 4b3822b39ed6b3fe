// Plays the cases of tests/conformance to the JavaScript client's core, in a page: what happened in each step, for Python to compare.
async ({ welcome, cases, reconnecting }) => {
  const { Core } = await import("/sdk/core.js");
  const { encode, encodeBody, parse } = await import("/sdk/frames.js");
  const { Outgoing } = await import("/sdk/outbox.js");
  const { afterClose, Backoff, drainDelayS, Rotation } = await import("/sdk/timing.js");

  class Player {
    #core;
    #eager;
    #now = 0;
    #open = false;
    #happened = {};
    #rids = new Map();
    #expired = new Map();

    constructor({ positions = {}, max_queued: maxQueued, owner } = {}) {
      this.#core = new Core({ positions: new Map(Object.entries(positions)), maxQueued, chance: () => 0.5 });
      this.#eager = owner !== "slow";
    }

    step(step) {
      this.#happened = { hello: {}, out: [], events: [], settled: [], look_up: [] };
      this.#passTime(step.at ?? this.#now);
      if ("open" in step) this.#greet(step.open);
      else if ("in" in step) for (const frame of [step.in].flat()) this.#receive(frame);
      else if ("close" in step) this.#leave();
      else if ("call" in step) this[step.call](step.with ?? {});
      this.#after();
      const positions = Object.fromEntries(this.#core.inbox.stored);
      return structuredClone({ ...this.#happened, positions, conversations: Object.fromEntries(this.#core.held.seen) });
    }

    #greet(more) {
      this.#happened.hello = this.#core.hello();
      this.#core.opened({ ...welcome, ...more }, this.#now);
      this.#open = true;
    }

    #receive(frame) {
      const rid = frame.rid?.startsWith("rid of ") ? { rid: this.#rids.get(frame.rid.slice(7)) } : {};
      this.#core.receive(parse(JSON.stringify({ ...frame, ...rid })), this.#now);
    }

    #leave() {
      this.#open = false;
      this.#core.closed(this.#now);
    }

    #passTime(until) {
      let at = this.#core.nextAt(this.#now);
      while (this.#open && at !== null && at <= until) {
        this.#now = Math.max(at, this.#now);
        this.#pump();
        at = this.#core.nextAt(this.#now);
      }
      this.#now = until;
    }

    #after() {
      if (this.#eager) this.take({ count: 1_000_000 });
      for (const outgoing of this.#core.expired.splice(0)) {
        this.#expired.set(outgoing.cmid, outgoing);
        this.#happened.look_up.push(outgoing.cmid);
      }
      if (this.#open) this.#pump();
    }

    #pump(atOnce = false) {
      const acks = this.#core.ack(this.#now, { atOnce });
      const out = acks.length > 0 ? [{ type: "ack", acks: Object.fromEntries(acks) }] : [];
      for (const text of [...out, ...this.#core.outgoing(this.#now)].map(encode)) {
        const frame = JSON.parse(text);
        this.#rids.set(frame.type, frame.rid);
        this.#happened.out.push(frame);
      }
    }

    take({ count }) {
      for (let taken = 0; taken < count; taken += 1) {
        let entry;
        do {
          this.#core.settle(this.#now);
          entry = this.#core.inbox.take();
        } while (entry !== null && entry.event === null);
        if (entry === null) return;
        const { error, ...event } = entry.event;
        this.#happened.events.push(error === undefined ? event : { ...event, code: error.code });
      }
    }

    send({ body, ...message }) {
      const outgoing = new Outgoing({ ...message, body: encodeBody(body) });
      outgoing.onDone = ({ cmid, error, result }) => {
        this.#happened.settled.push(error === null ? { ...result, cmid } : { cmid, error: error.code });
      };
      this.#core.outbox.add(outgoing);
    }

    found({ cmid, id }) {
      const outgoing = this.#expired.get(cmid);
      this.#core.outbox.settle(outgoing, { result: { cid: outgoing.cid, cmid, id, dup: true } });
    }

    not_found({ cmid, new_cmid: newCmid }) {
      this.#core.outbox.rename(this.#expired.get(cmid), newCmid);
    }

    read({ cid, seq }) {
      this.#core.read(cid, seq);
    }

    signal({ cid, body }) {
      this.#core.signal(cid, encodeBody(body));
    }

    focus({ cid, active }) {
      this.#core.show(cid, active);
    }

    background() {
      this.#pump(true);
    }
  }

  const play = ({ setup, steps }) => {
    const player = new Player(setup);
    return steps.map((step) => player.step(step));
  };
  const waits = ({ steps }) => {
    const backoff = new Backoff();
    return steps.map(({ lived = 0, chance }) => {
      backoff.lived(lived);
      return backoff.nextDelayS(chance);
    });
  };
  const rounds = ({ nodes, failures }) => {
    const rotation = new Rotation(Array.from({ length: nodes }, (_, number) => `ws://node-${number}`), () => 0.5);
    return failures.map(() => rotation.failed());
  };
  return {
    traces: cases.map(play),
    closes: reconnecting.closes.map(({ code }) => afterClose(code)),
    waits: reconnecting.waits.map(waits),
    drains: reconnecting.drains.map((drain) => drainDelayS(drain, drain.chance)),
    nodes: reconnecting.nodes.map(rounds),
  };
}

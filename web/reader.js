/**
 * Has the service read what lies on the pad, while it is being drawn.
 *
 * At most one request is in flight, and the newest picture wins: what changed meanwhile is sent when
 * the answer is there. A service that is full is asked again after the time it told, one that is away
 * as soon as it is back.
 */

import { Refused, Unreachable } from "./service.js";

const WHILE_DRAWING = 60; // milliseconds between two requests, at least

export class Reader {
  #wanted = false; // something is on the pad that was not sent
  #busy = false;
  #timer = null;
  #sent = 0; // when, on performance.now()

  /** `path()` names the route, `as()` who asks; `show` is given each reading, null for an empty sheet. */
  constructor(service, pad, { path, as = () => ({}), show, fail }) {
    Object.assign(this, { service, pad, path, as, show, fail });
    pad.addEventListener("change", () => this.want());
    pad.addEventListener("rest", () => this.now());
    service.addEventListener("back", () => this.now());
  }

  /** Have it read soon. */
  want() {
    this.#wanted = true;
    if (this.#busy || this.#timer !== null) return;
    const wait = this.#sent + WHILE_DRAWING - performance.now();
    if (wait > 0) this.#again(wait);
    else this.#read();
  }

  /** Have it read at once, or as soon as the answer under way is there. */
  now() {
    this.#wanted = true;
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#busy) this.#read();
  }

  async #read() {
    const path = this.path();
    this.#wanted = false;
    if (this.pad.empty || path === null) {
      this.show(null);
      return;
    }
    this.#busy = true;
    try {
      const file = await this.pad.file();
      this.#sent = performance.now();
      const response = await this.service.ask(path, { method: "POST", body: file, ...this.as() });
      const answer = await response.json();
      const seconds = (performance.now() - this.#sent) / 1e3;
      if (!this.pad.empty) this.show(readingOf(answer, response.headers, seconds));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
    if (this.#wanted) this.want();
  }

  #failed(error) {
    if (error instanceof Unreachable) return; // "back" will come
    if (!(error instanceof Refused)) throw error;
    if (error.status === 503) this.#again(error.wait * 1e3);
    else if (this.service.state.kind !== "locked") this.fail(error);
  }

  #again(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.now(), wait);
  }
}

/** What an answer to /v1/predict says, with what its headers say of the way it took. */
function readingOf(answer, headers, seconds) {
  const stages = {};
  for (const stage of (headers.get("Server-Timing") ?? "").split(",")) {
    const [name, time] = stage.trim().split(";dur=");
    stages[name] = Number(time) / 1e3;
  }
  return {
    version: answer.model.version,
    ...answer.predictions[0],
    stages, // decode, queue, infer: seconds
    batch: Number(headers.get("X-Batch-Size")),
    seconds, // from here and back
  };
}

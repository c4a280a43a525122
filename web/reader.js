/**
 * Has the service read what lies on the pad, while it is being drawn.
 *
 * At most one request is in flight, and the newest image wins: what changed meanwhile is sent when
 * the answer is there. A service that is full is asked again when the time is over that it told, one
 * that is away as soon as it is back.
 */

import { Refused, Unreachable } from "./service.js";

const WHILE_DRAWING = 60; // milliseconds between two requests, at least

export class Reader {
	#wanted = null; // "soon" or "now": something is on the pad that was not sent
	#busy = false;
	#revision = 0; // of the pad, that was sent last
	#timer;
	#earliest = 0; // when the next one may be sent that has time, on performance.now()
	#settled = 0; // revision of the pad that was answered or failed last
	refusal = null; // message of the service that made the image wait

	/**
	 * `path()` names the route, null for none; `show` is given each reading, null for an empty sheet;
	 * `progress` is called whenever `pending` or `refusal` may have changed.
	 */
	constructor(service, pad, { path, admin = false, show, fail, progress = () => {} }) {
		Object.assign(this, { service, pad, path, admin, show, fail, progress });
		pad.addEventListener("change", () => this.#want("soon"));
		pad.addEventListener("rest", () => pad.revision === this.#revision || this.now());
		service.addEventListener("back", () => this.now());
	}

	/** Whether the image on the pad has neither an answer nor a final error yet. */
	get pending() {
		return !this.pad.empty && this.pad.revision !== this.#settled && (this.#busy || this.#wanted !== null);
	}

	/** Have it read at once, or as soon as the answer under way is there. */
	now() {
		this.#want("now");
	}

	#want(when) {
		if (this.#wanted !== "now") this.#wanted = when;
		this.#go();
	}

	#go() {
		this.#send();
		this.progress();
	}

	#send() {
		clearTimeout(this.#timer);
		if (this.#busy || this.#wanted === null) return;
		if (this.pad.empty || this.path() === null) {
			this.#wanted = null;
			this.show(null);
		} else if (!this.service.mayBeAsked) return; // "back" will come
		else if (this.#wanted === "now" || performance.now() >= this.#earliest) this.#read();
		else this.#timer = setTimeout(() => this.#go(), this.#earliest - performance.now());
	}

	async #read() {
		this.#wanted = null;
		this.#busy = true;
		const [path, { ground }] = [this.path(), this.pad];
		const isAskedFor = () => path === this.path() && ground === this.pad.ground && !this.pad.empty;
		try {
			const revision = (this.#revision = this.pad.revision);
			this.#earliest = performance.now() + WHILE_DRAWING;
			const reading = await this.service.read(this.pad.file, path, this.admin);
			this.refusal = null;
			if (isAskedFor()) this.#settle(revision, () => this.show({ ...reading, revision }));
		} catch (error) {
			this.#failed(error, isAskedFor() ? this.#revision : null);
		} finally {
			this.#busy = false;
		}
		this.#go();
	}

	/** `revision` is that of the image if it is still on the pad, else null. */
	#failed(error, revision) {
		if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
		if (!this.service.mayBeAsked) this.#wanted = "now";
		else if (error.wait) {
			this.#wanted = "soon";
			this.#earliest = performance.now() + error.wait * 1e3;
			this.refusal = error.message;
		} else if (revision !== null) this.#settle(revision, () => this.fail(error));
	}

	#settle(revision, report) {
		this.#settled = revision;
		report();
	}
}

/**
 * Sends the image on the pad to the service, also while it is being drawn.
 *
 * At most one request is in flight, and the newest image wins: a change during a request is sent after
 * its response. After 503 the request is repeated when Retry-After has passed, after a lost connection
 * as soon as the service is back.
 */

import { Refused, Unreachable } from "./service.js";

const WHILE_DRAWING = 60; // milliseconds between two requests, at least

export class Reader {
	#wanted = null; // "soon" or "now" if the image on the pad has not been sent
	#busy = false;
	#revision = 0; // of the pad when it was sent last
	#timer;
	#earliest = 0; // when the next "soon" request may be sent, on performance.now()
	#settled = 0; // the last revision of the pad with an answer or a final error
	refusal = null; // message of the response because of which the image waits

	/**
	 * `path()` returns the route, or null for none; `show` receives each prediction, or null for an empty sheet;
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

	/** Send the image at once, or after the response to the current request. */
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
		} else if (!this.service.mayBeAsked) return; // "back" will be dispatched
		else if (this.#wanted === "now" || performance.now() >= this.#earliest) this.#read();
		else this.#timer = setTimeout(() => this.#go(), this.#earliest - performance.now());
	}

	async #read() {
		this.#wanted = null;
		this.#busy = true;
		const [path, { ground }] = [this.path(), this.pad];
		const isStillWanted = () => path === this.path() && ground === this.pad.ground && !this.pad.empty;
		try {
			const revision = (this.#revision = this.pad.revision);
			this.#earliest = performance.now() + WHILE_DRAWING;
			const reading = await this.service.read(this.pad.file, path, this.admin);
			this.refusal = null;
			if (isStillWanted()) this.#settle(revision, () => this.show({ ...reading, revision }));
		} catch (error) {
			this.#failed(error, isStillWanted() ? this.#revision : null);
		} finally {
			this.#busy = false;
		}
		this.#go();
	}

	/** `revision` is the revision of the image if it is still on the pad, else null. */
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

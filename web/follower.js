/**
 * Follows one retraining job over lost connections and restarts of the service and the worker.
 *
 *   connecting --> live --> ended       the job has reached a final state
 *       ^           |
 *       +-- reconnecting <--+           continues after the last event received
 *
 *   gone      the job no longer exists
 *   refused   the token is not accepted; `error` has the reason
 *
 * "change" is dispatched at most once a frame, after new events or a change of state.
 */

import { eventsOf } from "./sse.js";

export const FINAL = ["activated", "kept", "rejected", "cancelled", "failed"];
const SILENCE = 40_000; // milliseconds; the service sends a comment at least every 15 s
const FIRST_WAIT = 1000; // milliseconds until the first reconnection; doubled at each attempt
const LONGEST_WAIT = 10_000;
const LINES = 400; // lines of the log that are kept

export class Follower extends EventTarget {
	state = "connecting";
	error = null; // the last one
	heard = null; // Date of the last event
	points = []; // each a Progress, with the seconds `at` since the first training began
	lines = []; // lines of the log
	#last = ""; // id of the last event
	#abort = null; // ends the stream
	#wanted = false;
	#attempts = 0;
	#again;
	#frame = null;

	constructor(service, job) {
		super();
		Object.assign(this, { service, job });
		service.addEventListener("back", () => this.#wanted && this.#connect());
	}

	start() {
		this.#wanted = true;
		this.#connect();
	}

	stop() {
		this.#wanted = false;
		clearTimeout(this.#again);
		this.#disconnect();
	}

	/**
	 * Replace the job by the one that a request has returned.
	 *
	 * A new stream begins with the state of the job. The open one might not report the change: it polls
	 * twice a second, and a job that was cancelled and resumed in between looks unchanged.
	 */
	update(job) {
		this.job = job;
		this.#disconnect();
		if (this.#wanted) this.#connect();
		this.#changed();
	}

	#disconnect() {
		this.#abort?.abort();
		this.#abort = null;
	}

	async #connect() {
		clearTimeout(this.#again);
		if (this.#abort !== null) return;
		const abort = (this.#abort = new AbortController());
		let silence;
		const heard = () => {
			clearTimeout(silence);
			silence = setTimeout(() => abort.abort(), SILENCE);
		};
		heard();
		const failure = await this.#read(abort.signal, heard).catch((error) => error);
		clearTimeout(silence);
		if (this.#abort !== abort) return; // it was disconnected
		let wait = 0;
		if (failure) wait = this.#failed(failure);
		else this.#become(FINAL.includes(this.job.state) ? "ended" : "reconnecting");
		this.#disconnect(); // also if an event could not be read
		if (this.state !== "reconnecting") return;
		wait ||= Math.min(FIRST_WAIT * 2 ** this.#attempts++, LONGEST_WAIT);
		this.#again = setTimeout(() => this.#connect(), wait);
	}

	async #read(signal, heard) {
		const headers = this.#last ? { "Last-Event-ID": this.#last } : {};
		const response = await this.service.ask(`v1/retrain/${this.job.id}/events`, { admin: true, headers, signal });
		this.#attempts = 0;
		this.#become("live");
		for await (const { id, data } of eventsOf(response, heard)) {
			if (signal.aborted) return;
			if (id) this.#last = id;
			this.#add(JSON.parse(data));
		}
	}

	/** Milliseconds to wait before the next attempt; 0: unknown. */
	#failed(error) {
		this.error = error;
		if (error.status === 404) this.#become("gone");
		else if (error.status === 401 || error.status === 403) this.#become("refused");
		else this.#become("reconnecting");
		return (error.wait ?? 0) * 1e3;
	}

	#add({ kind, data }) {
		this.heard = new Date();
		if (kind === "job") this.job = data;
		else if (kind === "progress") append(this.points, data);
		else if (kind === "log") {
			this.lines.push(data.line);
			if (this.lines.length > LINES) this.lines.shift();
		}
		this.#changed();
	}

	#become(state) {
		this.state = state;
		this.#changed();
	}

	#changed() {
		this.#frame ??= requestAnimationFrame(() => {
			this.#frame = null;
			this.dispatchEvent(new Event("change"));
		});
	}
}

/**
 * Append a point to a curve.
 *
 * A training that resumes from its last saved state repeats what was lost: the older points of that
 * time are dropped. Each teacher has a clock of its own, which starts at zero.
 */
export function append(points, progress) {
	const before = points.at(-1);
	const continues = before?.teacher === progress.teacher;
	const start = before === undefined ? 0 : continues ? before.start : before.at;
	const at = start + progress.seconds;
	while (points.length && points.at(-1).teacher === progress.teacher && points.at(-1).at >= at) points.pop();
	points.push({ ...progress, start, at });
}

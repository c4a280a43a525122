/**
 * The view "Training": starts retraining jobs, lists them and the training runs of the service's
 * machine, and shows the chosen one.
 *
 * The list is polled while it is visible; the chosen job is followed by its events. If the connection is
 * lost, the last state stays visible, marked as old.
 */

import { $, h, setText } from "./dom.js";
import { JobView } from "./job.js";
import { chip, clock, moment } from "./panel.js";
import { RunView } from "./run.js";
import { Start } from "./start.js";

const LOOK = 3000; // milliseconds between two requests for the list
const RUNNING = ["queued", "training", "exporting", "judging", "activating", "running"];

export class Training {
	#timer;
	#busy = false;
	#listed = ""; // the content of the list, as JSON
	#read = null; // Date of the last list
	#parts = {}; // what was read last, by path: jobs or runs
	#chosen = null; // key of the chosen entry
	#view = null; // of the chosen entry
	#views = new Map(); // by key; kept with the curves they have received

	constructor(parts) {
		Object.assign(this, parts);
		const { service, views, features, admin } = this;
		new Start({ service, admin, models: this.models, started: (job) => this.#started(job) });
		for (const source of [views, document]) source.addEventListener(source === views ? "shown" : "visibilitychange", () => this.#turn());
		service.addEventListener("state", () => this.#turn());
		features.addEventListener("known", () => this.#turn());
		admin.addEventListener("changed", () => this.#turn());
		views.addEventListener("shown", () => views.shown === "training" && features.look());
	}

	get #wanted() {
		return this.views.shown === "training" && !document.hidden && this.service.state.kind !== "locked";
	}

	#turn() {
		clearTimeout(this.#timer);
		this.#frame();
		if (!this.#wanted) this.#view?.stop();
		else if (this.service.token && this.#isSetUp) {
			this.#view?.start();
			this.#look();
		}
	}

	get #isSetUp() {
		const { set_up: jobs, runs } = this.features.retraining;
		return jobs || runs;
	}

	/** Show what this service and this token give access to. */
	#frame() {
		const { set_up: jobs } = this.features.retraining;
		const { token } = this.service;
		$("#set-up").hidden = jobs;
		$("#start-training").hidden = $("#retrain").hidden = !jobs || !token;
		$("#token-needed").hidden = token || !(this.#isSetUp || this.features.feedback);
		$("#studio").hidden = !token || !this.#isSetUp;
	}

	async #look() {
		if (this.#busy) return;
		this.#busy = true;
		const chosen = this.#chosen;
		try {
			if (this.service.mayBeAsked) this.#show(await this.#entries(), chosen);
		} catch (error) {
			const shown = this.#read ? ` The list is of ${clock(this.#read)}.` : "";
			if (error.status === 401 || error.status === 403) return this.admin.explain(error);
			if (error.status) setText("jobs-state", `The list cannot be read: ${error.message}.${shown}`);
		} finally {
			this.#busy = false;
		}
		clearTimeout(this.#timer);
		if (this.#wanted) this.#timer = setTimeout(() => this.#look(), LOOK);
	}

	/** Jobs and the runs without a job, the newest first, and what cannot be shown. */
	async #entries() {
		const { set_up: setUp, runs: hasRuns } = this.features.retraining;
		const [{ jobs = [], unreadable: otherJobs, refused: noJobs }, { runs = [], unreadable: badRuns, refused: noRuns }] =
			await Promise.all([setUp ? this.#part("v1/retrain") : {}, hasRuns ? this.#part("v1/runs") : {}]);
		const ofJobs = new Set(jobs.flatMap(({ id, run }) => [id, run]));
		const entries = [
			...jobs.map((job) => ({ key: `job ${job.id}`, at: job.created, job })),
			...runs.filter(({ id }) => !ofJobs.has(id)).map((run) => ({ key: `run ${run.id}`, at: run.began ?? run.updated, run })),
		];
		entries.sort((one, other) => new Date(other.at) - new Date(one.at));
		const missing = [
			noJobs ? `Jobs cannot be read: ${noJobs}.` : "",
			noRuns ? `Runs cannot be read: ${noRuns}.` : "",
			otherJobs ? `${number(otherJobs, "job")} of another version of the worker cannot be shown.` : "",
			badRuns ? `The files of ${number(badRuns, "run")} cannot be read.` : "",
		];
		return { entries, missing: missing.filter(Boolean).join(" ") };
	}

	/** Jobs or runs; those that were read last, and why, if the service cannot read them now. */
	async #part(path) {
		try {
			this.#parts[path] = await this.service.json(path, { admin: true });
			return this.#parts[path];
		} catch (error) {
			if (error.status !== 503 && error.status !== 404) throw error;
			return { ...this.#parts[path], refused: error.message };
		}
	}

	/** `chosen` when the list was requested: a list that is older than the chosen job does not replace it. */
	#show({ entries, missing }, chosen) {
		this.#read = new Date();
		setText("jobs-state", missing || (entries.length ? "" : "No training yet."));
		for (const { key, job, run } of entries) this.#views.get(key)?.update(job ?? run);
		this.#list(entries);
		const runs = ({ job, run }) => RUNNING.includes((job ?? run).state);
		if (chosen === this.#chosen && !entries.some(({ key }) => key === chosen)) this.#choose((entries.findLast(runs) ?? entries[0]) || null);
	}

	#list(entries) {
		const listed = JSON.stringify([this.#chosen, entries.map(({ key, job, run }) => [key, (job ?? run).state])]);
		if (listed === this.#listed) return;
		this.#listed = listed;
		this.entries = entries;
		const held = document.activeElement.dataset.key;
		const buttons = entries.map((entry) => this.#button(entry));
		$("#jobs").replaceChildren(...buttons.map((button) => h("li", button)));
		buttons.find((button) => button.dataset.key === held)?.focus({ preventScroll: true });
	}

	#button(entry) {
		const { key, at, job, run } = entry;
		const what = job ? `${job.request.preset}${job.version ? `, version ${job.version}` : ""}` : `terminal, ${run.data ?? run.id}`;
		const current = key === this.#chosen ? { "aria-current": "true" } : {};
		return h("button", { type: "button", "data-key": key, onclick: () => this.#choose(entry), ...current }, h("span", moment(at)), h("span.quiet", what), chip((job ?? run).state));
	}

	#choose(entry) {
		this.#view?.stop();
		this.#chosen = entry?.key ?? null;
		this.#view = entry && this.#viewOf(entry);
		$("#job").replaceChildren(...(this.#view ? [this.#view.element] : []));
		$("#job").hidden = !this.#view;
		if (this.#wanted) this.#view?.start();
		if (this.entries) this.#list(this.entries);
	}

	#viewOf({ key, job, run }) {
		if (!this.#views.has(key)) {
			const parts = { service: this.service, models: this.models, admin: this.admin, draw: this.draw, changed: () => this.#look() };
			this.#views.set(key, job ? new JobView(job, parts) : new RunView(run, parts));
		}
		return this.#views.get(key);
	}

	async #started(job) {
		this.#choose({ key: `job ${job.id}`, at: job.created, job });
		await this.#look();
	}
}

const number = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

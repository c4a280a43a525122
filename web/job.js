/** A retraining job: live progress, its verdict, and buttons to cancel, resume, approve and reject it. */

import { h, sentence, setText } from "./dom.js";
import { FINAL, Follower } from "./follower.js";
import { comparisonOf } from "./judgement.js";
import { Panel, clock, moment, progressFacts } from "./panel.js";
import { verdictOf } from "./verdict.js";

const TRAINS = ["training", "exporting", "judging", "activating"];
const QUIET = 15_000; // milliseconds without an event after which the worker counts as silent

export class JobView {
	#panel;
	#judgedFor = ""; // the version whose verdict is shown
	#state = null; // the state that was announced last
	#busy = false; // whether an action is in progress
	#tick = null;

	constructor(job, { service, models, admin, draw, changed }) {
		Object.assign(this, { service, models, admin, draw, changed });
		this.follower = new Follower(service, job);
		this.follower.addEventListener("change", () => this.#show());
		this.#panel = new Panel(`Job of ${moment(job.created)}`);
		this.element = this.#panel.element;
		this.#show();
	}

	start() {
		this.#tick ??= setInterval(() => this.#show(), 5000); // a worker that is silent sends no event
		this.follower.start();
	}

	stop() {
		clearInterval(this.#tick);
		this.#tick = null;
		this.follower.stop();
	}

	/** Update the job from a list, which may be newer than the stream. */
	update(job) {
		if (job.state !== this.follower.job.state && this.follower.state === "ended") this.follower.update(job);
	}

	#show() {
		const { follower } = this;
		const { job, points, lines } = follower;
		this.#panel.show({
			state: job.state,
			connection: this.#connection(),
			reason: job.reason ? `${sentence(job.reason)}.` : "",
			facts: [...requestFacts(job), ...progressFacts(points.at(-1) ?? job.progress, job.state === "training")],
			points,
			lines,
		});
		this.#offer(job);
		this.#judge(job);
		if (this.#state !== null && this.#state !== job.state) this.#announce(job.state);
		this.#state = job.state;
	}

	#connection() {
		const { state, job, heard, error } = this.follower;
		const shown = heard ? ` What is shown is of ${clock(heard)}.` : "";
		if (state === "gone") return "This job is in the database no longer.";
		if (state === "refused") return `${sentence(error.message)}.`;
		if (state === "reconnecting") return `${error?.status ? sentence(error.message) : "The connection is lost"}; reconnecting.${shown}`;
		if (TRAINS.includes(job.state) && heard && Date.now() - heard > QUIET)
			return `The worker has reported nothing since ${clock(heard)}. The job goes on when a worker runs.`;
		return "";
	}

	#offer({ state, resumable, version, gate }) {
		const worse = gate?.verdict === "worse";
		const offers = [
			// The button says that the version is worse, and the checks are listed below it: no confirmation is needed.
			state === "awaiting_approval" && ["approve", `Approve${worse ? " although worse" : ""}: serve version ${version}`, worse ? "button" : "button.main"],
			state === "awaiting_approval" && ["reject", "Reject", "button"],
			(state === "queued" || TRAINS.includes(state)) && ["cancel", "Cancel", "button"],
			resumable && FINAL.includes(state) && ["resume", "Resume", "button"],
		].filter(Boolean);
		const shown = JSON.stringify(offers);
		const { actions } = this.#panel;
		for (const button of actions.children) button.disabled = this.#busy;
		if (actions.dataset.shown === shown) return;
		actions.dataset.shown = shown;
		const held = actions.contains(document.activeElement);
		actions.replaceChildren(
			...offers.map(([action, name, kind]) => h(kind, { type: "button", onclick: () => this.#act(action) }, name)),
		);
		if (held) (actions.firstElementChild ?? this.#panel.title).focus();
	}

	async #act(action) {
		this.#busy = true;
		this.#show();
		try {
			const { id, gate } = this.follower.job;
			const force = action === "approve" && gate?.verdict === "worse";
			const body = force ? JSON.stringify({ force }) : undefined;
			const job = await this.service.json(`v1/retrain/${id}/${action}`, { method: "POST", body, admin: true });
			this.admin.say("");
			this.follower.update(job);
		} catch (error) {
			this.admin.explain(error);
		} finally {
			this.#busy = false;
			this.#show();
			this.changed();
		}
	}

	async #judge(job) {
		const key = job.gate ? String(job.version) : "";
		if (key === this.#judgedFor) return;
		this.#judgedFor = key;
		const { judged } = this.#panel;
		judged.replaceChildren(...(job.gate ? [verdictOf(job.gate)] : []));
		if (!job.gate) return;
		try {
			const show = (...image) => this.draw.put(...image).then(() => this.draw.focus());
			const parts = await comparisonOf(job, { service: this.service, models: this.models, show });
			if (key === this.#judgedFor) judged.append(...parts);
		} catch (error) {
			if (key === this.#judgedFor) judged.append(h("p.quiet", `The comparison cannot be shown: ${error.message}.`));
		}
	}

	#announce(state) {
		setText("spoken", `The job is ${state.replace("_", " ")}`);
		this.changed();
		if (state === "activated") this.models.list();
	}
}

function requestFacts({ request, worker, version, parent }) {
	const { preset, recipe, data, corrections } = request;
	const options = Object.entries(recipe).map(([name, value]) => `${name} ${value}`);
	return [
		["Preset", [preset, ...options].join(", ")],
		["Data", `${data ?? "that of the version that serves"}${corrections ? ", corrections" : ""}`],
		...(worker ? [["Worker", worker]] : []),
		...(version ? [["Version", `${version}${parent ? `, compared with ${parent}` : ""}`]] : []),
	];
}

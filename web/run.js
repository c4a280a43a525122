/** A training run that was started in a terminal of the service's machine; it is polled while it trains. */

import { append } from "./follower.js";
import { runMatrix } from "./judgement.js";
import { Panel, clock, moment, progressFacts } from "./panel.js";

const LOOK = 1000; // milliseconds between two requests while it trains
const LOOK_AGAIN = 3000; // after a failed request
const MOST_CLASSES = 40; // in the matrix

export class RunView {
	#panel;
	#timer;
	#wanted = false;
	#read = null; // Date of the last response
	#matrix = null; // the figure with the confusion matrix

	constructor(run, { service, admin }) {
		Object.assign(this, { service, admin, run });
		this.#panel = new Panel(`Run ${run.id}${run.began ? `, ${moment(run.began)}` : ""}`);
		this.element = this.#panel.element;
		this.#show("");
	}

	start() {
		this.#wanted = true;
		this.#look();
	}

	stop() {
		this.#wanted = false;
		clearTimeout(this.#timer);
	}

	update(run) {
		if (run.state !== this.run.state && this.#wanted) this.#look();
	}

	async #look() {
		clearTimeout(this.#timer);
		let wait = LOOK;
		try {
			this.run = await this.service.json(`v1/runs/${this.run.id}`, { admin: true });
			this.#read = new Date();
			this.#show("");
		} catch (error) {
			wait = LOOK_AGAIN;
			if (error.status === 401 || error.status === 403) return this.admin.explain(error);
			const shown = this.#read ? ` What is shown is of ${clock(this.#read)}.` : "";
			this.#show(`${error.status ? error.message : "The connection is lost"}; trying again.${shown}`);
		}
		clearTimeout(this.#timer);
		if (this.#wanted && (this.run.state === "running" || wait === LOOK_AGAIN))
			this.#timer = setTimeout(() => this.#look(), wait);
	}

	#show(connection) {
		const { state, data, network, progress, curve = [], metrics } = this.run;
		const points = [];
		for (const point of curve) append(points, point);
		const facts = [["Data", data ?? "–"], ["Network", network ?? "–"], ...progressFacts(points.at(-1) ?? progress, state === "running")];
		const reason = state === "stopped" ? "It has reported nothing for two minutes and has not ended: it was interrupted." : "";
		this.#panel.show({ state, connection, reason, facts, points });
		if (!metrics?.confusion_matrix || this.#matrix) return;
		this.#matrix = runMatrix(metrics, MOST_CLASSES);
		this.#panel.plots.append(this.#matrix);
	}
}

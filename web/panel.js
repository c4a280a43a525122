/** The panel of a job or a training run: state, facts, progress, curves, log. */

import { count, h, percent, span } from "./dom.js";
import { CURVES, curvesOf } from "./curves.js";

const UNFINISHED = ["queued", "training", "running", "stopped", "cancelled", "failed"]; // states with a bar
const BOTTOM = 30; // pixels from the end of the log within which it keeps scrolling

/** A date and time in words. */
export const clock = (time) => new Date(time).toLocaleTimeString([], { timeStyle: "medium" });
export const moment = (time) => new Date(time).toLocaleString([], { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

/** The state of a job or run as a coloured chip. */
export const chip = (state) => h(`span.chip.${state}`, state === "awaiting_approval" ? "awaits approval" : state);

export class Panel {
	#follows = true; // whether the log is scrolled to its end

	constructor(title) {
		this.state = h("span");
		this.actions = h("div.row");
		this.connection = h("p.connection", { role: "status" });
		this.reason = h("p.reason");
		this.fill = h("span.fill");
		this.bar = h("div.gauge", { role: "progressbar", "aria-label": "Progress of the training", "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
		this.facts = h("dl.strip");
		this.curves = CURVES.map((title) => h("figure", h("figcaption", title)));
		this.judged = h("div.judged");
		this.lines = h("pre.log", { tabindex: "0", role: "region", "aria-label": "Log" });
		this.lines.onscroll = ({ target }) => (this.#follows = target.scrollHeight - target.scrollTop - target.clientHeight < BOTTOM);
		this.log = h("details", { open: "" }, h("summary", "Log"), this.lines);
		this.title = h("h2", { tabindex: "-1" }, title);
		this.plots = h("div.plots", this.curves, this.log);
		const head = h("div.summary", this.title, this.state, this.actions);
		this.element = h("div", head, this.connection, this.reason, this.bar, this.facts, this.judged, this.plots);
	}

	/** `connection` describes a problem of the connection, if there is one: the panel may then be out of date. */
	show({ state, connection = "", reason = "", facts, points, lines = [] }) {
		this.state.replaceChildren(chip(state));
		put(this.connection, connection);
		this.connection.hidden = !connection;
		put(this.reason, reason);
		this.element.classList.toggle("old", connection !== "");
		this.facts.replaceChildren(...facts.map(([name, value]) => h("div", h("dt", name), h("dd", value))));
		this.#progress(UNFINISHED.includes(state) ? points.at(-1) : undefined);
		this.#draw(points);
		this.#showLog(lines);
	}

	#progress(last) {
		this.bar.hidden = last === undefined;
		if (last === undefined) return;
		const done = (last.epoch - 1 + last.within) / last.epochs;
		this.fill.style.transform = `scaleX(${done})`;
		this.bar.setAttribute("aria-valuenow", Math.round(done * 100));
	}

	#draw(points) {
		for (const figure of this.curves) figure.hidden = !points.length;
		if (points.length) curvesOf(points).forEach((plot, at) => this.curves[at].replaceChildren(this.curves[at].firstChild, plot));
	}

	#showLog(lines) {
		this.log.hidden = !lines.length;
		put(this.lines, lines.join("\n"));
		if (this.#follows) this.lines.scrollTop = this.lines.scrollHeight;
	}
}

/** The facts of a training's last point; `runs`: the training continues. */
export function progressFacts(last, runs) {
	if (!last) return [];
	const { epoch, epochs, loss, accuracy, seconds_left: left, images_per_second: speed, device, cpu, teacher } = last;
	return [
		["Epoch", `${epoch} of ${epochs}${teacher == null ? "" : `, teacher ${teacher}`}`],
		["Loss", loss.toPrecision(3)],
		["Accuracy", percent(accuracy, 2)],
		["Trained for", span(last.at ?? last.seconds)],
		...(runs && left != null ? [["Time left", span(left)]] : []),
		["Images a second", count(Math.round(speed))],
		["Device", device],
		...(cpu == null ? [] : [["CPU", `${cpu.toFixed(1)} cores`]]),
	];
}

function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

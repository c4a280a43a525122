/** What the network reads, and how it came to be: the answer large, a bar a class, the pixels it saw, the time it took. */

import { $, chance, duration, h, tell } from "./dom.js";

const MOST_BARS = 12; // of more classes the likeliest are shown
const STAGES = { decode: "decode", queue: "queue", infer: "model", way: "network" };
const QUIET = 700; // milliseconds of no change until an answer is spoken

export class Answer {
	#bars = new Map(); // by label
	#speak;
	#labels = [];
	#reading = null; // that is shown

	constructor() {
		this.box = $("#result");
		this.empty();
	}

	/** The classes there are. */
	set labels(labels) {
		if (labels.join() === this.#labels.join()) return;
		this.#labels = labels;
		this.#bars = new Map(labels.map((label) => [label, barOf(label)]));
		$("#bars").replaceChildren(...[...this.#bars.values()].map((bar) => bar.element));
		if (this.#reading) this.show(this.#reading); // which came before them
	}

	empty() {
		this.#reading = null;
		this.box.className = "card empty";
		tell("answer", "");
		tell("version", "");
		tell("sure", "Nothing drawn yet");
		this.#speakLater("");
		for (const bar of this.#bars.values()) bar.set(0);
		this.#likeliest();
		tell("stages", "");
		tell("stages-bar", "");
	}

	show(reading) {
		const { label, confidence, probabilities, uncertain } = reading;
		this.#reading = null;
		if (this.#labels.length !== probabilities.length) this.labels = probabilities.map((_, at) => String(at));
		this.#reading = reading;
		say("answer", label);
		this.box.className = `card${uncertain ? " unsure" : ""}`;
		const sure = uncertain ? this.#doubt(probabilities) : `${chance(confidence)} sure`;
		tell("sure", sure);
		this.#speakLater(uncertain ? sure : `Reads as ${label}, ${sure}`);
		this.#labels.forEach((each, at) => this.#bars.get(each).set(probabilities[at], each === label));
		this.#likeliest();
		this.#insight(reading);
	}

	/** A second version's answer, beside the first; null: none is asked. */
	compare(reading) {
		$("#other-said").hidden = reading === null;
		for (const bar of this.#bars.values()) bar.compare(null);
		if (reading === null) return;
		say("other-answer", reading.label);
		tell("other-version", `version ${reading.version}, ${chance(reading.confidence)}`);
		// These bars may be of other classes than its own.
		if (this.#labels[reading.digit] === reading.label && this.#labels.length === reading.probabilities.length)
			this.#labels.forEach((each, at) => this.#bars.get(each).compare(reading.probabilities[at]));
	}

	#doubt(probabilities) {
		const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
		const likely = order.slice(0, 2).filter((at) => at === order[0] || probabilities[at] >= 0.05);
		return `Not sure: ${likely.map((at) => this.#labels[at]).join(" or ")}?`;
	}

	#likeliest() {
		if (this.#bars.size <= MOST_BARS) return;
		const bars = [...this.#bars.values()].sort((a, b) => b.probability - a.probability);
		bars.forEach((bar, at) => (bar.element.hidden = at >= MOST_BARS));
	}

	#insight({ ink, stages, batch, seconds, version }) {
		tell("version", `version ${version}`);
		$("#seen").src = ink;
		const way = Object.values(stages).reduce((left, each) => left - each, seconds);
		const times = { ...stages, way: Math.max(0, way) };
		const parts = Object.entries(STAGES).map(([stage, name]) => [name, times[stage] ?? 0, stage]);
		const shares = parts.map(([, time, look]) => {
			const part = h("span", { class: look });
			part.style.flexGrow = time / seconds;
			return part;
		});
		$("#stages-bar").replaceChildren(...shares);
		const told = parts.map(([name, time, look]) => [h("dt", { class: look }, name), h("dd", duration(time))]);
		const company = batch === 1 ? "alone" : `with ${batch - 1} other${batch === 2 ? "" : "s"}`;
		$("#stages").replaceChildren(...told.flat(), h("dt", "batch"), h("dd", `${batch}, ${company}`));
	}

	#speakLater(text) {
		clearTimeout(this.#speak);
		this.#speak = setTimeout(() => tell("spoken", text), QUIET);
	}
}

/** As large as there is room; it arrives: see views.css. */
function say(id, label) {
	const answer = $(`#${id}`);
	if (answer.textContent === label) return;
	answer.replaceChildren(h("span", label));
	answer.style.fontSize = `${Math.min(5.6, 20 / label.length)}rem`;
}

function barOf(label) {
	const fill = h("span.fill");
	const other = h("span.other", { hidden: "" });
	const number = h("span.share");
	const element = h("li", { "data-label": label }, h("span.label", label), h("span.track", fill, other), number);
	const bar = {
		element,
		probability: 0,
		set(probability, best = false) {
			bar.probability = probability;
			element.dataset.probability = probability;
			element.classList.toggle("best", best);
			fill.style.transform = `scaleX(${probability})`;
			number.textContent = probability < 0.0005 ? "" : chance(probability);
		},
		compare(probability) {
			other.hidden = probability === null;
			if (probability !== null) other.style.left = `${probability * 100}%`;
		},
	};
	bar.set(0);
	return bar;
}

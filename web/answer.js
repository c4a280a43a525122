/** What the network reads, and how it came to be: the answer large, a bar a class, the pixels it saw, the time it took. */

import { $, chance, duration, h } from "./dom.js";

const MOST_BARS = 12; // of more classes the likeliest are shown
const STAGES = { decode: "decode", queue: "queue", infer: "model" };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const ARRIVING = [{ transform: ["scale(.7) rotate(-5deg)", "none"] }, { duration: 280, easing: "cubic-bezier(.2, 1.6, .4, 1)" }];
const QUIET = 700; // milliseconds of no change until an answer is spoken

export class Answer {
	#bars = new Map(); // by label
	#speak;
	#labels = [];

	constructor(spoken) {
		this.spoken = spoken;
		this.box = $("#result");
		this.empty();
	}

	/** The classes there are. */
	set labels(labels) {
		if (labels.join() === this.#labels.join()) return;
		this.#labels = labels;
		this.#bars = new Map(labels.map((label) => [label, barOf(label)]));
		$("#bars").replaceChildren(...[...this.#bars.values()].map((bar) => bar.element));
	}

	empty() {
		this.box.className = "card empty";
		$("#answer").textContent = $("#version").textContent = "";
		$("#sure").textContent = "Nothing drawn yet";
		this.#speakLater("");
		for (const bar of this.#bars.values()) bar.set(0);
		this.#likeliest();
		$("#seen").hidden = true;
		$("#unseen-yet").hidden = false;
		$("#stages").replaceChildren();
		$("#stages-bar").replaceChildren();
	}

	show(reading) {
		const { label, confidence, probabilities, uncertain } = reading;
		if (this.#labels.length !== probabilities.length) this.labels = probabilities.map((_, at) => String(at));
		const answer = $("#answer");
		if (answer.textContent !== label && !STILL.matches) answer.animate(...ARRIVING);
		answer.textContent = label;
		this.box.className = `card${uncertain ? " unsure" : ""}`;
		$("#sure").textContent = uncertain ? this.#doubt(probabilities) : `${chance(confidence)} sure`;
		this.#speakLater(uncertain ? this.#doubt(probabilities) : `Reads as ${label}, ${chance(confidence)} sure`);
		this.#labels.forEach((each, at) => this.#bars.get(each).set(probabilities[at], each === label));
		this.#likeliest();
		this.#insight(reading);
	}

	/** A second version's answer, beside the first; null: none is asked. */
	compare(reading) {
		$("#other-said").hidden = reading === null;
		for (const bar of this.#bars.values()) bar.compare(null);
		if (reading === null) return;
		$("#other-answer").textContent = reading.label;
		$("#other-version").textContent = `version ${reading.version}, ${chance(reading.confidence)}`;
		this.#labels.forEach((each, at) => this.#bars.get(each).compare(reading.probabilities[at]));
	}

	#doubt(probabilities) {
		const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
		const likely = order.slice(0, 2).filter((at) => probabilities[at] >= 0.05);
		return `Not sure: ${likely.map((at) => this.#labels[at]).join(" or ")}?`;
	}

	#likeliest() {
		if (this.#bars.size <= MOST_BARS) return;
		const bars = [...this.#bars.values()].sort((a, b) => b.probability - a.probability);
		bars.forEach((bar, at) => (bar.element.hidden = at >= MOST_BARS));
	}

	#insight({ ink, stages, batch, seconds, version }) {
		$("#version").textContent = `version ${version}`;
		if (ink) {
			$("#seen").src = ink;
			$("#seen").hidden = false;
			$("#unseen-yet").hidden = true;
		}
		const inside = Object.values(stages).reduce((sum, each) => sum + each, 0);
		const parts = Object.entries(STAGES).map(([stage, name]) => [name, stages[stage] ?? 0, stage]);
		parts.push(["on the way", Math.max(0, seconds - inside), "way"]);
		const shares = parts.map(([, time, look]) => {
			const part = h("span", { class: look });
			part.style.flexGrow = time / seconds;
			return part;
		});
		$("#stages-bar").replaceChildren(...shares);
		const told = parts.map(([name, time, look]) => [h("dt", { class: look }, name), h("dd", {}, duration(time))]);
		const company = batch === 1 ? "alone" : `with ${batch - 1} other${batch === 2 ? "" : "s"}`;
		$("#stages").replaceChildren(...told.flat(), h("dt", {}, "batch"), h("dd", {}, `${batch}, ${company}`));
	}

	#speakLater(text) {
		clearTimeout(this.#speak);
		this.#speak = setTimeout(() => (this.spoken.textContent = text), QUIET);
	}
}

function barOf(label) {
	const fill = h("span", { class: "fill" });
	const other = h("span", { class: "other", hidden: true });
	const number = h("span", { class: "share" });
	const element = h("li", { "data-label": label }, h("span", { class: "label" }, label), h("span", { class: "track" }, fill, other), number);
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

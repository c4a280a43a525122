/** A prediction: its label, a bar for each class, the pixels that the network saw, and the time it took. */

import { $, chance, duration, h, percent, setText } from "./dom.js";

export const MOST_BARS = 10; // of more classes, the likeliest are shown
const SMALL = 112; // pixels of the thumbnail's side; fewer are shown as squares
const STAGES = { decode: "decode", queue: "queue", infer: "model", way: "network" };
const QUIET = 700; // milliseconds without a change before an answer is announced

export class Answer {
	nothing = "Nothing drawn yet"; // shown while there is no image
	threshold = null; // confidence below which the served version is uncertain
	#bars = new Map(); // by index and label of the class: versions may differ in their labels
	#speak;
	#labels = [];
	#reading = null; // the prediction that is shown

	constructor() {
		this.box = $("#result");
		const seen = $("#seen");
		seen.onload = () => {
			seen.alt = `The ${seen.naturalHeight} by ${seen.naturalWidth} pixels that the network saw`;
			seen.classList.toggle("smooth", Math.max(seen.naturalHeight, seen.naturalWidth) > SMALL);
		};
		this.empty();
	}

	/** Set the labels of all classes. */
	set labels(labels) {
		if (labels.join("\n") === this.#labels.join("\n")) return;
		this.#labels = labels;
		this.#bars.clear();
		this.#place(labels.length > MOST_BARS ? [] : labels.map((label, index) => ({ index, label })));
		if (this.#reading) this.show(this.#reading); // it arrived before the labels
	}

	/** Whether an answer is shown. */
	get isShown() {
		return this.#reading !== null;
	}

	/** Whether the answer is marked as that of an earlier image. */
	get isOld() {
		return this.box.classList.contains("old");
	}

	/** Show that there is no answer, and why. */
	empty(reason = this.nothing) {
		this.#reading = null;
		this.box.className = reason === this.nothing ? "card empty" : "card empty pending";
		for (const id of ["answer", "version", "why", "old"]) setText(id, "");
		setText("sure", reason);
		this.#speakLater(reason === this.nothing ? "" : reason);
		if (this.#labels.length > MOST_BARS) this.#place([]);
		for (const bar of this.#bars.values()) bar.set(0);
		setText("stages", "");
		setText("stages-bar", "");
	}

	/** Mark the answer as that of an earlier image, and report what the present one waits for. */
	markOld(reason) {
		this.box.classList.add("old");
		setText("old", `This answers an earlier image. ${reason}`);
	}

	show(reading) {
		const { label, index, confidence, probabilities, uncertain, reason } = reading;
		this.#reading = null;
		const known = this.#labels.length === probabilities?.length && this.#labels[index] === label;
		if (probabilities && !known) this.labels = probabilities.map((_, at) => (at === index ? label : String(at)));
		this.#reading = reading;
		say("answer", label);
		this.box.className = `card${uncertain ? " unsure" : ""}`;
		const shares = sharesOf(reading, this.#labels);
		const likeliest = [...shares].sort((a, b) => b.probability - a.probability);
		const sure = uncertain ? doubt(likeliest, reason) : `${chance(confidence)} sure`;
		setText("sure", sure);
		setText("why", uncertain ? this.#reasonOf(reading) : "");
		setText("old", "");
		this.#speakLater(uncertain ? sure : `Reads as ${label}, ${sure}`);
		const shown = this.#labels.length > MOST_BARS || !probabilities ? likeliest.slice(0, MOST_BARS) : shares;
		this.#place(shown);
		for (const each of shown) this.#bars.get(keyOf(each)).set(each.probability, each.index === index);
		this.#insight(reading);
	}

	/** Show the answer of a second version beside the first; null: there is none. */
	compare(reading) {
		$("#other-said").hidden = reading === null;
		for (const bar of this.#bars.values()) bar.compare(null);
		if (reading === null) return;
		say("other-answer", reading.label);
		setText("other-version", `version ${reading.version}, ${chance(reading.confidence)}`);
		// The two versions may have different classes.
		if (this.#labels[reading.index] !== reading.label) return;
		if (reading.probabilities && reading.probabilities.length !== this.#labels.length) return;
		for (const each of sharesOf(reading, this.#labels))
			if (each.label === this.#labels[each.index]) this.#bars.get(keyOf(each))?.compare(each.probability);
	}

	/** Show bars for these classes, in this order. */
	#place(classes) {
		const kept = new Map(classes.map((each) => [keyOf(each), this.#bars.get(keyOf(each)) ?? barOf(each.label)]));
		const same = [...kept.keys()].join() === [...this.#bars.keys()].join();
		this.#bars = kept;
		if (!same) $("#bars").replaceChildren(...[...kept.values()].map((bar) => bar.element));
	}

	#insight({ pixels, stages, batch, seconds, version }) {
		setText("version", `version ${version}`);
		$("#seen").src = pixels;
		const way = Object.values(stages).reduce((left, each) => left - each, seconds);
		const times = { ...stages, way: Math.max(0, way) };
		const parts = Object.entries(STAGES).map(([stage, name]) => [name, times[stage] ?? 0, stage]);
		const shares = parts.map(([, time, look]) => {
			const part = h("span", { class: look });
			part.style.flexGrow = time / seconds;
			return part;
		});
		$("#stages-bar").replaceChildren(...shares);
		const rows = parts.map(([name, time, look]) => [h("dt", { class: look }, name), h("dd", duration(time))]);
		const company = batch === 1 ? "alone" : `with ${batch - 1} other${batch === 2 ? "" : "s"}`;
		$("#stages").replaceChildren(...rows.flat(), h("dt", "batch"), h("dd", `${batch}, ${company}`));
	}

	/** Why an answer counts as uncertain, however high its confidence looks. */
	#reasonOf({ confidence, threshold = this.threshold }) {
		return threshold == null || confidence >= threshold ? "" : `${chance(confidence)} sure; this version counts as sure from ${percent(threshold)}.`;
	}

	#speakLater(text) {
		clearTimeout(this.#speak);
		this.#speak = setTimeout(() => setText("spoken", text), QUIET);
	}
}

const keyOf = ({ index, label }) => `${index} ${label}`;

/** The classes of a prediction, each {index, label, probability}: all of them, or the likeliest of many. */
function sharesOf({ probabilities, top_k: top }, labels) {
	if (probabilities) return probabilities.map((probability, index) => ({ index, label: labels[index], probability }));
	return top.map(({ index, label, confidence }) => ({ index, label, probability: confidence }));
}

function doubt([first, second], reason) {
	if (reason === "not_one_digit") return "Not sure: this may not be one digit";
	return second?.probability >= 0.05 ? `Not sure: ${first.label} or ${second.label}?` : `Not sure: probably ${first.label}`;
}

/** Show a label in a size that suits its length; views.css animates a new one. */
function say(id, label) {
	const answer = $(`#${id}`);
	if (answer.textContent === label) return;
	answer.replaceChildren(h("span", label));
	answer.style.fontSize = `${Math.max(1.5, Math.min(5.6, 20 / label.length))}rem`;
}

function barOf(label) {
	const fill = h("span.fill");
	const other = h("span.other", { hidden: "" });
	const number = h("span.share");
	const element = h("li", { "data-label": label }, h("span.label", { title: label }, label), h("span.track", fill, other), number);
	const bar = {
		element,
		set(probability, best = false) {
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

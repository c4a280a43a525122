/** A quiz of ten test images, some of them hard: how often and how fast the user and the network are right. */

import { $, chord, duration, h, table, typing } from "./dom.js";
import { sheetOf, some } from "./sheet.js";

const ROUNDS = 10;
const ROOM = 120; // characters of all labels together, up to which each label is a choice
const OTHERS = 5; // wrong choices, if not all labels are offered
const HARD = 5; // images that the network is known to misclassify

export class Quiz {
	#rounds = []; // remaining images
	#score = null;
	#now = null; // the current image, its choices, and when it was shown

	constructor(parts) {
		Object.assign(this, parts, { body: $("#quiz-body") });
		addEventListener("keydown", (event) => this.#key(event));
		$("#start").onclick = () => this.#start();
	}

	#invite(result) {
		$("#mistakes").hidden = false;
		const again = h("button", { class: "main", onclick: () => this.#start() }, "Once more");
		this.body.replaceChildren(result, again);
		again.focus();
	}

	async #start() {
		try {
			const served = await this.models.version();
			const [plain, hard] = await Promise.all([
				sheetOf(this.models, served, "samples"),
				this.models.has("mistakes.png") ? sheetOf(this.models, served, "mistakes") : [],
			]);
			const chosen = some(hard, HARD);
			this.#rounds = some([...chosen, ...some(plain, ROUNDS - chosen.length)], ROUNDS);
		} catch (error) {
			return this.notice.say(`There are no test images for a quiz: ${error.message}.`);
		}
		this.#score = { you: [], network: [] };
		$("#mistakes").hidden = true; // their labels would give the answers away
		await this.#next();
	}

	async #next() {
		const image = this.#rounds.pop();
		if (!image) return this.#end();
		const number = ROUNDS - this.#rounds.length;
		const choices = this.#choices(image);
		const keys = choices.map((label) => h("button", { onclick: () => this.#answer(label) }, label));
		const canvas = image.canvas();
		Object.assign(canvas, { role: "img", ariaLabel: "The image in question", tabIndex: -1 });
		this.body.replaceChildren(
			h("p.quiet", `${number} of ${ROUNDS}`),
			h("div.question", canvas),
			h("div", { class: "choices", role: "group", "aria-label": "What do you see?" }, keys),
		);
		canvas.focus();
		const network = this.service.read(image.file());
		network.catch(() => {}); // an error is shown after the user has answered
		this.#now = { image, choices, since: performance.now(), network };
	}

	/** All labels, or, if there are many, the right one, the prediction, and others. */
	#choices({ label, answer }) {
		const { labels } = this.models;
		if (labels.join("").length <= ROOM) return labels;
		const wanted = new Set([label, ...(answer ? [answer] : [])]);
		for (const other of some(labels, OTHERS + 1)) if (wanted.size <= OTHERS) wanted.add(other);
		return some([...wanted], wanted.size);
	}

	async #answer(label) {
		if (this.#now === null) return;
		const { image, since, network } = this.#now;
		this.#now = null;
		const seconds = (performance.now() - since) / 1e3;
		try {
			const { label: read, stages } = await network;
			this.#score.you.push({ right: label === image.label, seconds });
			this.#score.network.push({ right: read === image.label, seconds: stages.infer });
			this.#showResult(label, read, image.label);
		} catch (error) {
			this.#invite(h("p", `The network could not be reached: ${error.message}.`));
		}
	}

	#showResult(yours, read, truth) {
		const verdict = (who, label) => h("span", { class: label === truth ? "good" : "bad" }, `${who} ${label} ${label === truth ? "✓" : "✗"}`);
		const next = h("button", { class: "main next", onclick: () => this.#next() }, this.#rounds.length ? "Next" : "Result");
		$(".choices", this.body).replaceWith(
			h("p", { class: "result", role: "status" }, verdict("You:", yours), verdict("Network:", read), `Label: ${truth}`),
			next,
		);
		next.focus();
	}

	#end() {
		const { you, network } = this.#score;
		const row = (who, answers) => {
			const right = answers.filter((each) => each.right).length;
			return [who, `${right} of ${answers.length}`, duration(median(answers.map(({ seconds }) => seconds)))];
		};
		this.#invite(table("Who was right more often, and how fast", ["", "right", "typical time"], [row("You", you), row("Network", network)]));
	}

	#key(event) {
		if (this.#now === null || this.views.shown !== "gallery" || typing(event.target) || chord(event)) return;
		const { choices } = this.#now; // "A" and "a" may both be among them
		const label = choices.find((each) => each === event.key) ?? choices.find((each) => each.toLowerCase() === event.key.toLowerCase());
		if (label !== undefined) this.#answer(label);
	}
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

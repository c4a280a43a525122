/** Ten digits, some of them hard, for you and for the network: who reads more, and how fast. */

import { $, chord, duration, h, table, typing } from "./dom.js";
import { missing } from "./service.js";
import { sheetOf, some } from "./sheet.js";

const ROUNDS = 10;
const HARD = 5; // of them from what the network is known to misread

export class Quiz {
	#rounds = []; // pictures that are left
	#score = null;
	#now = null; // the picture that is asked, and since when

	constructor(parts) {
		Object.assign(this, parts, { body: $("#quiz-body") });
		addEventListener("keydown", (event) => this.#key(event));
		$("#start").onclick = () => this.#start();
	}

	#invite(result) {
		const again = h("button", { class: "main", onclick: () => this.#start() }, "Once more");
		this.body.replaceChildren(result, again);
		again.focus();
	}

	async #start() {
		try {
			const served = await this.models.version();
			const [plain, hard] = await Promise.all([
				sheetOf(this.models, served, "samples"),
				sheetOf(this.models, served, "mistakes").catch(missing([])),
			]);
			const chosen = some(hard, HARD);
			this.#rounds = some([...chosen, ...some(plain, ROUNDS - chosen.length)], ROUNDS);
		} catch (error) {
			return this.notice.say(`There are no test digits to ask: ${error.message}.`);
		}
		this.#score = { you: [], network: [] };
		await this.#next();
	}

	async #next() {
		const picture = this.#rounds.pop();
		if (!picture) return this.#end();
		const number = ROUNDS - this.#rounds.length;
		const keys = this.models.labels.map((label) => h("button", { onclick: () => this.#answer(label) }, label));
		const canvas = picture.canvas();
		Object.assign(canvas, { role: "img", ariaLabel: "A digit to read", tabIndex: -1 });
		this.body.replaceChildren(
			h("p.quiet", `${number} of ${ROUNDS}`),
			h("div.question", canvas),
			h("div", { class: "digits", role: "group", "aria-label": "What do you see?" }, keys),
		);
		canvas.focus();
		const network = this.service.read(picture.file());
		network.catch(() => {}); // told of when you have answered
		this.#now = { picture, since: performance.now(), network };
	}

	async #answer(label) {
		if (this.#now === null) return;
		const { picture, since, network } = this.#now;
		this.#now = null;
		const seconds = (performance.now() - since) / 1e3;
		try {
			const { label: read, stages } = await network;
			this.#score.you.push({ right: label === picture.label, seconds });
			this.#score.network.push({ right: read === picture.label, seconds: stages.infer });
			this.#tell(label, read, picture.label);
		} catch (error) {
			this.#invite(h("p", `The network could not be asked: ${error.message}.`));
		}
	}

	#tell(yours, read, truth) {
		const verdict = (who, said) => h("span", { class: said === truth ? "good" : "bad" }, `${who} ${said} ${said === truth ? "✓" : "✗"}`);
		const next = h("button", { class: "main next", onclick: () => this.#next() }, this.#rounds.length ? "Next" : "Result");
		$(".digits", this.body).replaceWith(
			h("p", { class: "told", role: "status" }, verdict("You:", yours), verdict("Network:", read), `Label: ${truth}`),
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
		this.#invite(table("Who read more, and how fast", ["", "right", "typical time"], [row("You", you), row("Network", network)]));
	}

	#key(event) {
		if (this.#now === null || this.views.shown !== "gallery" || typing(event.target) || chord(event)) return;
		const { labels } = this.models; // of which "A" and "a" may be two
		const label = labels.find((each) => each === event.key) ?? labels.find((each) => each.toLowerCase() === event.key.toLowerCase());
		if (label !== undefined) this.#answer(label);
	}
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

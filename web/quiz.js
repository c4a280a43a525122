/** Ten digits, some of them hard, for you and for the network: who reads more, and how fast. */

import { $, duration, h, table, typing } from "./dom.js";
import { sheetOf, some } from "./sheet.js";

const ROUNDS = 10;
const HARD = 5; // of them from what the network is known to misread

export class Quiz {
	#rounds = []; // pictures that are left
	#score = null;
	#now = null; // the picture that is asked, and since when

	constructor({ service, views, models, notice }) {
		Object.assign(this, { service, views, models, notice, body: $("#quiz-body") });
		addEventListener("keydown", (event) => this.#key(event));
		this.#invite();
	}

	#invite(...result) {
		this.#now = null;
		const start = h("button", { type: "button", class: "main", onclick: () => this.#start() }, result.length ? "Once more" : "Start");
		const rules = h("p", {}, `${ROUNDS} test digits, half of them such as it misreads. Press the key of what you see.`);
		this.body.replaceChildren(...(result.length ? result : [rules]), start);
	}

	async #start() {
		try {
			const served = await this.models.version();
			const [plain, hard] = await Promise.all([
				sheetOf(this.service, this.models, served, "samples"),
				sheetOf(this.service, this.models, served, "mistakes").catch((error) => {
					if (error.status === 404) return []; // it makes none
					throw error;
				}),
			]);
			const chosen = some(hard, HARD);
			this.#rounds = some([...chosen, ...some(plain, ROUNDS - chosen.length)], ROUNDS);
		} catch (error) {
			this.notice.say(`There are no test digits to ask: ${error.message}.`);
			return;
		}
		this.#score = { you: [], network: [] };
		await this.#next();
	}

	async #next() {
		const picture = this.#rounds.pop();
		if (!picture) {
			this.#end();
			return;
		}
		const number = ROUNDS - this.#rounds.length;
		const keys = this.models.labels.map((label) => h("button", { type: "button", onclick: () => this.#answer(label) }, label));
		const canvas = picture.canvas();
		canvas.setAttribute("role", "img");
		canvas.setAttribute("aria-label", "A digit to read");
		this.body.replaceChildren(
			h("p", { class: "quiet" }, `${number} of ${ROUNDS}`),
			h("div", { class: "question" }, canvas),
			h("div", { class: "digits", role: "group", "aria-label": "What do you see?" }, keys),
		);
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
			this.#invite(h("p", {}, `The network could not be asked: ${error.message}.`));
		}
	}

	#tell(yours, read, truth) {
		const verdict = (who, said) => h("span", { class: said === truth ? "right" : "wrong" }, `${who} ${said} ${said === truth ? "✓" : "✗"}`);
		const next = h("button", { type: "button", class: "main next", onclick: () => this.#next() }, this.#rounds.length ? "Next" : "Result");
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
		if (this.#now === null || this.views.shown !== "gallery" || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
		const label = this.models.labels.find((each) => each.toLowerCase() === event.key.toLowerCase());
		if (label !== undefined) this.#answer(label);
	}
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * The form that starts a retraining job.
 *
 * The service checks the values and names an invalid field. The bounds of the inputs are for their arrows
 * and for screen readers.
 */

import { $, sentence, setText } from "./dom.js";

const OPTIONS = ["epochs", "learning_rate", "batch_size", "network", "width", "seed"]; // options of a recipe

export class Start {
	#key = newKey(); // idempotency key: a form that is sent twice starts one job

	constructor({ service, admin, models, started }) {
		Object.assign(this, { service, admin, started, form: $("#start-training") });
		this.form.oninput = () => {
			this.#key = newKey();
			this.#explain("");
		};
		this.form.onsubmit = (event) => {
			event.preventDefault();
			this.#start();
		};
		models.addEventListener("listed", () => {
			this.form.elements.data.placeholder = models.card?.data_set ? `as version ${models.served}: ${models.card.data_set.name}` : "";
		});
	}

	async #start() {
		const { preset, data, corrections, activate } = this.form.elements;
		const request = {
			preset: preset.value,
			data: data.value.trim() || null,
			recipe: this.#recipe(),
			corrections: corrections.checked,
			activate: activate.value,
		};
		const button = $("button", this.form);
		button.disabled = true;
		try {
			const job = await this.service.json("v1/retrain", {
				method: "POST",
				body: JSON.stringify(request),
				headers: { "Content-Type": "application/json", "Idempotency-Key": this.#key },
				admin: true,
			});
			this.#key = newKey();
			this.admin.say("The job is in the queue.", "good");
			this.started(job);
		} catch (error) {
			if (error.status === 400) this.#explain(error.message);
			else this.admin.explain(error);
		} finally {
			button.disabled = false;
		}
	}

	/** The options that have a value; a value that is not a number is sent as text, which the service refuses. */
	#recipe() {
		const filled = OPTIONS.map((name) => this.form.elements[name]).filter((field) => field.value.trim() || field.validity.badInput);
		const value = ({ type, value, valueAsNumber }) => (type === "text" || Number.isNaN(valueAsNumber) ? value.trim() : valueAsNumber);
		return Object.fromEntries(filled.map((field) => [field.name, value(field)]));
	}

	/** Show a problem of the request beside the field that it names: "recipe: epochs must be ...". */
	#explain(detail) {
		const text = detail.replace("recipe: ", "");
		const named = this.form.elements[/^\w*/.exec(text)[0]];
		for (const field of this.form.elements) {
			field.ariaInvalid = field === named ? "true" : null;
			if (field === named) field.setAttribute("aria-describedby", "start-problem");
			else field.removeAttribute("aria-describedby");
		}
		(named?.closest("label") ?? $("button", this.form)).after($("#start-problem"));
		setText("start-problem", text && `${sentence(text.replace(/^\w+/, (name) => name.replaceAll("_", " ")))}.`);
		if (!named) return;
		$("details", this.form).open ||= OPTIONS.includes(named.name);
		named.focus();
	}
}

/** crypto.randomUUID is missing in a page loaded over plain HTTP. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");

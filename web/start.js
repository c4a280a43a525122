/** The form that starts a retraining job. */

import { $ } from "./dom.js";

export class Start {
	#key = newKey(); // of the job that the form would start: sent twice, it starts one job

	constructor({ service, admin, models, started }) {
		Object.assign(this, { service, admin, started, form: $("#start-training") });
		this.form.oninput = () => (this.#key = newKey());
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
			this.admin.explain(error);
		} finally {
			button.disabled = false;
		}
	}
}

/** crypto.randomUUID is missing where the page came over plain HTTP. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");

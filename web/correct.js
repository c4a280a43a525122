/**
 * "Wrong? It is ...": sends the image on the sheet to /v1/feedback, with the right label.
 *
 * Shown if the service accepts corrections. It takes one tap, or the digit's key if the labels are digits.
 */

import { $, chord, h, sentence, setText, typing } from "./dom.js";

const ROOM = 120; // characters: if all labels together have more, they are in a list instead of buttons
const THANKS = {
	accepted: "the next training uses it",
	waiting: "it waits for review",
	rejected: "it was reviewed before and rejected",
};

export class Correct {
	#reading = null; // the prediction that is shown
	#labels = "";
	#busy = false;
	#corrected = 0; // revision of the sheet that the message is about

	constructor(parts) {
		Object.assign(this, parts);
		for (const event of ["change", "rest"])
			this.pad.addEventListener(event, () => this.pad.revision === this.#corrected || setText("corrected", ""));
		this.features.addEventListener("known", () => this.#show());
		this.models.addEventListener("listed", () => this.#show());
		addEventListener("keydown", (event) => this.#key(event));
	}

	/** Set the answer to correct; null: there is none. */
	offer(reading) {
		this.#reading = reading;
		this.#show();
	}

	#show() {
		const { labels, readsDigits } = this.models;
		const { feedback } = this.features;
		$("#correct").hidden = !feedback || this.#reading === null || !labels.length;
		$("#correct-keys").hidden = !feedback || !readsDigits;
		this.#place(labels);
		const answered = this.#reading?.uncertain ? null : this.#reading?.label;
		for (const button of $("#right-labels").querySelectorAll("[data-label]")) button.disabled = button.dataset.label === answered;
	}

	/** A button for each label, or a list if there are too many. */
	#place(labels) {
		if (labels.join("\n") === this.#labels) return;
		this.#labels = labels.join("\n");
		const few = this.#labels.length <= ROOM;
		$("#right-labels").replaceChildren(...(few ? labels.map((label) => this.#button(label)) : this.#list(labels)));
	}

	#button(label) {
		return h("button", { type: "button", "data-label": label, "aria-label": `It is ${label}`, onclick: () => this.#send(label) }, label);
	}

	#list(labels) {
		const select = h("select", { "aria-label": "The right label" }, h("option", { value: "" }, "choose"), labels.map((label) => h("option", label)));
		const send = h("button", { type: "button", onclick: () => select.value && this.#send(select.value) }, "Send");
		return [select, send];
	}

	#key(event) {
		if (this.views.shown !== "draw" || typing(event.target) || chord(event) || event.repeat) return;
		if (!this.models.readsDigits || $("#correct").hidden) return;
		const button = $(`#right-labels [data-label="${CSS.escape(event.key)}"]`);
		if (button && !button.disabled) this.#send(event.key);
	}

	async #send(label) {
		if (this.#busy) return;
		this.#busy = true;
		const { request, ...answered } = this.#reading;
		const { revision } = this.pad;
		const file = revision === answered.revision ? answered.file : this.pad.file; // the drawing has changed since
		const query = new URLSearchParams({ label, ...(request && { request_id: request }) });
		let said;
		try {
			const { state } = await this.service.json(`v1/feedback?${query}`, { method: "POST", body: file });
			said = THANKS[state] ? `Thank you. Kept as ${label}: ${THANKS[state]}.` : `Not kept: the model classifies it as ${label} already.`;
		} catch (error) {
			const later = error.wait ? ` Try again in ${Math.ceil(error.wait)} s.` : "";
			said = `Not kept: ${sentence(error.message)}.${later}`;
		} finally {
			this.#busy = false;
		}
		if (revision !== this.pad.revision) return;
		this.#corrected = revision;
		setText("corrected", said);
	}
}

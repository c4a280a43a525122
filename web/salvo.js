/** Sends 500 test images at once, so that the live view shows how batches form. */

import { $, duration } from "./dom.js";
import { sheetOf } from "./sheet.js";

const IMAGES = 500;
const AT_ONCE = 64; // requests; over HTTP/1.1 a browser opens only six connections to a host

export class Salvo {
	constructor({ service, models }) {
		Object.assign(this, { service, models, button: $("#send-salvo"), progress: $("#salvo") });
		this.button.onclick = () => this.#fire();
	}

	async #fire() {
		this.button.disabled = true;
		try {
			const sheet = await sheetOf(this.models, await this.models.version(), "samples");
			const files = sheet.map(({ file, label }) => ({ file: file(), label }));
			await this.#send(Array.from({ length: IMAGES }, (_, at) => files[at % files.length]));
		} catch (error) {
			this.progress.textContent = `They could not be sent: ${error.message}.`;
		}
		this.button.disabled = false;
	}

	async #send(images) {
		const score = { answered: 0, right: 0, waited: 0, batches: 0 };
		const began = performance.now();
		let failure;
		const line = async () => {
			while (images.length && !failure) {
				await this.#ask(images.pop(), score).catch((error) => (failure ??= error));
				if (score.answered % 50 === 0) this.progress.textContent = `${score.answered} of ${IMAGES} answered`;
			}
		};
		await Promise.all(Array.from({ length: AT_ONCE }, line));
		if (failure) throw failure;
		const seconds = (performance.now() - began) / 1e3;
		const waited = score.waited ? `, ${score.waited} retries because the service was full` : "";
		const batch = (score.batches / Math.max(1, score.answered)).toFixed(1);
		this.progress.textContent = `${score.right} of ${IMAGES} right${waited}, in ${duration(seconds)}: ${Math.round(IMAGES / seconds)} a second, in batches of ${batch} on average`;
	}

	async #ask({ file, label }, score) {
		try {
			const reading = await this.service.read(file);
			score.answered += 1;
			score.batches += reading.batch;
			score.right += reading.label === label;
		} catch ({ wait, message }) {
			if (!wait) throw new Error(message);
			score.waited += 1;
			await new Promise((go) => setTimeout(go, wait * 1e3));
			await this.#ask({ file, label }, score);
		}
	}
}

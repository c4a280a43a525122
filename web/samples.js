/** Some test images of the served version to choose from; only if images are uploaded. */

import { $, h } from "./dom.js";
import { sheetOf, some } from "./sheet.js";

const SHOWN = 12;

export class Samples {
	#shownOf = null; // the version whose images are shown

	constructor({ models, draw }) {
		Object.assign(this, { models, draw });
		models.addEventListener("listed", () => this.#show());
	}

	async #show() {
		const { models } = this;
		const version = models.draws || !models.hasSamples ? null : models.served;
		if (version === this.#shownOf) return;
		this.#shownOf = version;
		let images = [];
		try {
			if (version !== null) images = some(await sheetOf(models, version, "samples"), SHOWN);
		} catch {
			this.#shownOf = null; // the next list tries it again
		}
		if (version === this.#shownOf) $("#samples").replaceChildren(...images.map((image) => this.#button(image)));
	}

	#button({ label, canvas, file }) {
		const onclick = () => this.draw.put(file(), label, canvas());
		return h("button", { type: "button", "aria-label": `labelled ${label}`, title: label, onclick }, canvas());
	}
}

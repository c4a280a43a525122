/** The test images that the served version misclassifies. */

import { $, chance, h, setText } from "./dom.js";
import { sheetOf } from "./sheet.js";

export class Gallery {
	#shownOf = null; // the version whose images are shown

	constructor({ views, models, draw }) {
		Object.assign(this, { views, models, draw });
		views.addEventListener("shown", () => this.#show());
		models.addEventListener("listed", () => this.#show());
	}

	async #show() {
		const version = this.models.served;
		if (this.views.shown !== "gallery" || version === null || version === this.#shownOf) return;
		this.#shownOf = version;
		try {
			const images = this.models.has("mistakes.png") ? await sheetOf(this.models, version, "mistakes") : [];
			if (version === this.#shownOf) this.#hang(images); // else another version is served by now
		} catch (error) {
			setText("mistakes", "");
			this.#shownOf = null; // the next list tries it again
			this.draw.fail(error);
		}
	}

	#hang(images) {
		$("#mistakes").replaceChildren(...images.map((image) => this.#frame(image)));
		$("#no-mistakes").hidden = images.length;
		$("#no-mistakes").textContent = this.models.hasSamples
			? "None: this version classifies all of its test images correctly."
			: "Unknown: this version was published without labelled test images.";
	}

	#frame({ label, answer, confidence, canvas, file }) {
		const description = `labelled ${label}, read as ${answer}`;
		const onclick = async () => {
			await this.draw.put(file(), label, canvas());
			this.draw.focus();
		};
		return h(
			"button",
			{ type: "button", title: `${description}, ${chance(confidence)} sure`, onclick },
			canvas(),
			h("span.names", `labelled ${label}`),
			h("span.names.bad", `read as ${answer}`),
		);
	}
}

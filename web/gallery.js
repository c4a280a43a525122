/** The test digits that the version which serves reads wrongly. */

import { $, chance, h } from "./dom.js";
import { sheetOf } from "./sheet.js";
import { Unreachable } from "./service.js";

export class Gallery {
	#shownOf = null; // the version

	constructor({ service, views, models, draw }) {
		Object.assign(this, { service, views, models, draw });
		views.addEventListener("shown", () => this.#show());
		models.addEventListener("listed", () => this.#show());
	}

	async #show() {
		const version = this.models.served;
		if (this.views.shown !== "gallery" || version === null || version === this.#shownOf) return;
		this.#shownOf = version;
		try {
			this.#hang(await sheetOf(this.service, this.models, version, "mistakes"));
		} catch (error) {
			$("#mistakes").replaceChildren();
			if (error.status === 404) this.#none();
			else this.#again(error);
		}
	}

	#hang(pictures) {
		$("#no-mistakes").hidden = true;
		$("#mistakes").replaceChildren(...pictures.map((picture) => this.#frame(picture)));
	}

	#frame({ label, answer, confidence, canvas, file }) {
		const told = `labelled ${label}, read as ${answer}`;
		return h(
			"button",
			{ type: "button", "aria-label": told, title: `${told}, ${chance(confidence)} sure`, onclick: () => this.draw.put(file(), label) },
			canvas(),
			h("span", { "aria-hidden": "true" }, h("s", {}, answer), ` ${label}`),
		);
	}

	#none() {
		const told = this.models.accuracy === 1 ? "None: it reads every test digit rightly." : "This version was exported without them. Export its run again to see them.";
		$("#no-mistakes").textContent = told;
		$("#no-mistakes").hidden = false;
	}

	#again(error) {
		this.#shownOf = null;
		if (error instanceof Unreachable) this.service.addEventListener("back", () => this.#show(), { once: true });
		else this.draw.fail(error);
	}
}

/** A strip of several images with their answers, in which one can be chosen to see its details. */

import { $, chance, h, sentence, setText } from "./dom.js";
import { opened } from "./png.js";

const MOST = 50; // images

export class Strip {
	#round = 0; // number of the set of files; a new set ends the one before

	/** `path()` returns the route for predictions. */
	constructor({ service, draw, path }) {
		Object.assign(this, { service, draw, path, element: $("#strip") });
		$("#clear").addEventListener("click", () => this.clear());
	}

	clear() {
		this.#round += 1;
		this.element.hidden = true;
		this.element.replaceChildren();
		setText("strip-state", "");
	}

	/** Classify these files one after another. */
	async read(files) {
		this.clear();
		const round = this.#round;
		const frames = files.slice(0, MOST).map((file) => this.#frame(file));
		this.element.replaceChildren(...frames.map(({ button }) => button));
		this.element.hidden = false;
		for (const [at, frame] of frames.entries()) {
			setText("strip-state", `Reading image ${at + 1} of ${frames.length}`);
			await this.#answer(frame, () => round === this.#round);
			if (round !== this.#round) return;
		}
		const left = files.length - frames.length;
		setText("strip-state", `${frames.length} images read${left ? `; ${left} more were left out` : ""}. Choose one to look closer.`);
	}

	#frame(file) {
		const answer = h("span.names", "…");
		const button = h("button", { type: "button" }, answer, h("span.names.quiet", { title: file.name }, file.name));
		button.onclick = () => this.draw.put(file, null, null, file.name);
		return { file, button, answer };
	}

	/** Classify one image, repeating the request after Retry-After, and show the answer or the error in its tile. */
	async #answer(frame, isWanted) {
		const { file, button, answer } = frame;
		try {
			const { look, file: content } = await opened(file).catch(() => undisplayed(file));
			if (look) button.prepend(look);
			const { label, confidence, uncertain } = await this.#reading(content, isWanted);
			answer.textContent = uncertain ? `${label}?` : label;
			button.title = `${file.name}: ${label}, ${chance(confidence)} sure`;
		} catch (error) {
			answer.textContent = "unread";
			button.classList.add("bad");
			button.title = `${file.name}: ${sentence(error.message)}`;
		}
	}

	async #reading(file, isWanted) {
		for (;;) {
			try {
				return await this.service.read(file, this.path());
			} catch (error) {
				if (!error.wait || !isWanted()) throw error;
				await new Promise((go) => setTimeout(go, error.wait * 1e3));
			}
		}
	}
}

/** An image in a format that the browser cannot show, such as TIFF. */
function undisplayed(file) {
	if (!file.type.startsWith("image/")) throw new Error("it is not an image");
	return { look: null, file };
}

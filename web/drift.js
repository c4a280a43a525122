/** How far the images of requests differ from the model's test images, with a link to the form. */

import { $, h } from "./dom.js";

const CHANGED = 0.25; // population stability index; the alert InputsHaveChanged has the same limit
const ENOUGH = 1000; // images; for fewer, the index is mostly noise

export class Drift {
	constructor({ features }) {
		features.addEventListener("known", () => this.#show(features));
		$("#retrain").onclick = () => $("#start-training").elements.preset.focus();
	}

	#show({ inputChanges }) {
		$("#drift").hidden = !inputChanges.some(({ images }) => images);
		const changed = inputChanges.some(({ psi, images }) => psi > CHANGED && images >= ENOUGH);
		$("#drift-state").textContent = changed
			? "The images of requests are unlike those that the model was tested with."
			: "The images of requests since this version serves, beside its test images.";
		$("#drift-quantities").replaceChildren(...inputChanges.map(quantity));
	}
}

function quantity({ quantity: name, psi, images }) {
	const [kind, verdict] = images < ENOUGH ? ["", "few images"] : psi > CHANGED ? [".failed", "changed"] : [".accepted", "as tested"];
	const index = psi === null ? "no index yet" : `index ${psi.toFixed(2)}`;
	return h("li", h("b", name.replaceAll("_", " ")), ` ${index}, ${images.toLocaleString("en")} images `, h(`span.chip${kind}`, verdict));
}

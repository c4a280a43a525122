/** A job's version compared with the one that was served: confusion matrices, and the images that changed. */

import { h, percent } from "./dom.js";
import { confusion } from "./plots.js";
import { sheetOf } from "./sheet.js";

/** Both confusion matrices, and the images that only one of the two versions classifies correctly. */
export async function comparisonOf(job, { service, models, show }) {
	const { labels, candidate, current, changed } = await service.json(`v1/retrain/${job.id}/comparison`, { admin: true });
	const matrices = [candidate, current].map(({ version, confusion: matrix }, at) =>
		h(
			"figure",
			h("figcaption", `Version ${version}${at === 0 ? ", new" : ", which served"}`),
			matrix ? confusion(matrix, labels) : h("p.quiet", "No confusion matrix: too many classes, or other labels."),
		),
	);
	const parts = [h("h3", "Confusion matrices"), h("div.plots", matrices)];
	if (changed) {
		const images = await sheetOf(models, job.version, "changed");
		parts.push(...changedImages(images, show));
	}
	return parts;
}

function changedImages(images, show) {
	const groups = [
		["Only the version that served classifies these correctly", images.filter((image) => image.current === image.label)],
		["Only the new version classifies these correctly", images.filter((image) => image.candidate === image.label)],
	];
	return groups
		.filter(([, members]) => members.length)
		.flatMap(([title, members]) => [h("h3", title), h("div.thumbnails", members.map((image) => frame(image, show)))]);
}

function frame({ label, candidate, current, canvas, file }, show) {
	const description = `${current} → ${candidate}, labelled ${label}`;
	return h(
		"button",
		{ type: "button", "aria-label": description, title: description, onclick: () => show(file(), label, canvas()) },
		canvas(),
		h("span.names", { "aria-hidden": "true" }, current === label ? current : h("s", current), " → ", candidate === label ? candidate : h("s", candidate)),
	);
}

/** The confusion matrix of a completed run. */
export function runMatrix({ confusion_matrix: matrix, labels, accuracy }, most) {
	const names = labels ?? matrix?.map((_, at) => String(at));
	const title = `Confusion matrix${accuracy == null ? "" : `: ${percent(accuracy, 2)} of the test images correct`}`;
	const drawn = !matrix || names.length > most ? h("p.quiet", "Too many classes to draw.") : confusion(matrix, names);
	return h("figure", h("figcaption", title), drawn);
}

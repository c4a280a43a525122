/** A version's card as one reads it: numbers, plots, classes, artifacts. */

import { bytes, count, duration, h, percent, table } from "./dom.js";
import { confusion, curves, reliability } from "./plots.js";

/** `metrics`: the run's training_metrics.json, null where the version has none. */
export function cardOf(card, metrics) {
	return h("div.sheet-of-facts", facts(card), plotsOf(card, metrics), perClass(card), artifacts(card), recipe(card));
}

function facts({ evaluation, acceptance, data_set: data, network, parameters, run, temperature, git_commit: commit }) {
	const list = [
		["Accuracy", `${percent(evaluation.accuracy, 2)} of ${count(data.test)} test pictures`],
		["Network", `${network}, ${count(parameters)} parameters`],
		["Learned from", `${data.name}: ${count(data.train)} pictures, ${count(data.validation)} held out`],
		["Calibration error", `${percent(evaluation.calibration_error, 2)} (${percent(evaluation.calibration_error_before, 2)} before temperature ${temperature.toFixed(2)})`],
		["Sure from", acceptance ? `${percent(acceptance.threshold)}: ${percent(acceptance.test_accepted)} of the test pictures are, ${percent(acceptance.test_accuracy ?? 0, 2)} of these rightly` : "no threshold on this card"],
		["Run", `${run}${commit ? `, commit ${commit.slice(0, 7)}` : ""}`],
	];
	return h("dl.facts", ...list.flatMap(([name, value]) => [h("dt", name), h("dd", value)]));
}

function plotsOf(card, metrics) {
	if (metrics === null) return h("p.quiet", "This version brings no training metrics to draw.");
	const plots = [
		["Training", curves(metrics.history)],
		["Confusion matrix", confusion(metrics.confusion_matrix, card.labels)],
		["Calibration", metrics.reliability ? reliability(metrics.reliability) : h("p.quiet", "This version was exported without its bins; its reliability.png has them.")],
	];
	return h("div.plots", ...plots.map(([title, plot]) => h("figure", h("figcaption", title), plot)));
}

function perClass({ evaluation }) {
	const rows = evaluation.per_class.map(({ label, precision, recall, f1, support }) => [label, percent(precision, 2), percent(recall, 2), percent(f1, 2), count(support)]);
	return table("Each class, on the test set", ["class", "precision", "recall", "F1", "pictures"], rows);
}

function artifacts({ files, parity, left_out: leftOut, measured_on: machine }) {
	const rows = Object.entries(parity).map(([file, proof]) => [
		file,
		bytes(files[file]?.size ?? 0),
		percent(proof.accuracy, 2),
		count(proof.different_answers),
		duration(proof.seconds_1),
		duration(proof.seconds_64),
	]);
	for (const [file, reason] of Object.entries(leftOut)) rows.push([file, `left out: ${reason}`, "", "", "", ""]);
	return table(`Artifacts, each compared with PyTorch on the whole test set; times on ${machine}, one thread`, ["file", "size", "accuracy", "differ", "for 1", "for 64"], rows);
}

function recipe({ recipe, libraries }) {
	const told = Object.entries({ ...recipe, ...libraries }).map(([name, value]) => `${name} ${value === "" ? "–" : value}`);
	return h("details.recipe", h("summary", "Recipe and libraries"), h("p.quiet", told.join(" · ")));
}

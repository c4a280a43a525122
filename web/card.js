/** A version's card: numbers, plots, classes, artifacts. */

import { bytes, count, duration, h, percent, table } from "./dom.js";
import { verdictOf } from "./verdict.js";
import { confusion, curves, reliability } from "./plots.js";

const ROOM = 200; // characters of the labels that are listed
const MOST_CLASSES = 40; // in the matrix and the table; of more, those with the most errors are listed

/** `metrics`: the run's training_metrics.json, null where the version has none. */
export function cardOf(card, metrics) {
	const parts = [card.gate && verdictOf(card.gate), plotsOf(card, metrics), card.evaluation && perClass(card.evaluation), artifacts(card), recipe(card)];
	return h("div.sheet-of-facts", facts(card), ...parts.filter(Boolean));
}

function facts(card) {
	const { network, parameters, labels, imported } = card;
	const [height, width, channels = 1] = card.input.shape.slice(1);
	const list = [
		...(card.evaluation ? measured(card) : [["Accuracy", "not measured"]]),
		["Network", `${network}, ${count(parameters)} parameters`],
		["Classes", `${count(labels.length)}: ${named(labels)}`],
		["Input", `${height}x${width} ${channels === 3 ? "RGB" : "gray"}, preparation: ${preparationOf(card.preparation)}`],
		...(imported ? importOf(imported) : []),
	];
	return h("dl.facts", ...list.flatMap(([name, value]) => [h("dt", name), h("dd", value)]));
}

function measured({ evaluation, acceptance, non_digits: others, data_set: data, run, temperature, git_commit: commit }) {
	return [
		["Accuracy", `${percent(evaluation.accuracy, 2)}${data ? ` of ${count(data.test)} test images` : ""}`],
		...(data ? [["Data", `${data.name}: ${count(data.train)} images for training, ${count(data.validation)} held out`]] : []),
		["Calibration error", `${percent(evaluation.calibration_error, 2)} (${percent(evaluation.calibration_error_before, 2)} before temperature ${temperature.toFixed(2)})`],
		["Sure from", acceptance ? `${percent(acceptance.threshold)}: ${percent(acceptance.test_accepted)} of the test images are, ${percent(acceptance.test_accuracy ?? 0, 2)} of these correctly` : "no threshold on this card"],
		...(others ? [["Not one digit", `below ${percent(others.threshold)}: ${percent(1 - others.test_accepted)} of ${count(others.test)} letters, shapes and other images are, and ${percent(others.test_refused)} of the test images`]] : []),
		...(run ? [["Run", `${run}${commit ? `, commit ${commit.slice(0, 7)}` : ""}`]] : []),
	];
}

function importOf({ file, format, proven, unknown }) {
	return [
		["Imported from", `${file} (${format === "onnx" ? "ONNX" : "PyTorch"})`],
		["Proven", proven.join(" ") || "nothing"],
		...(unknown.length ? [["Unknown", unknown.join(" ")]] : []),
	];
}

/** As many of the first labels as fit. */
function named(labels) {
	const all = labels.join(", ");
	return all.length > ROOM ? `${all.slice(0, all.lastIndexOf(", ", ROOM))}, …` : all;
}

function preparationOf({ kind, resize, interpolation }) {
	if (kind === "digit") return "digit (the ink is found, scaled and centred)";
	const how = { photo: `shorter side to ${resize}, middle cut out`, letterbox: "scaled to fit, the rest filled", stretch: "scaled to this size" };
	return `${kind} (${how[kind]}, ${interpolation})`;
}

function plotsOf(card, metrics) {
	if (metrics === null) return h("p.quiet", "This version brings no training metrics to draw.");
	const many = card.labels.length > MOST_CLASSES;
	const plots = [
		["Training", curves(metrics.history)],
		["Confusion matrix", many ? h("p.quiet", "Too many classes to draw.") : confusion(metrics.confusion_matrix, card.labels)],
		["Calibration", metrics.reliability ? reliability(metrics.reliability) : h("p.quiet", "This version was exported without its bins; its reliability.png has them.")],
	];
	return h("div.plots", ...plots.map(([title, plot]) => h("figure", h("figcaption", title), plot)));
}

function perClass({ per_class: classes }) {
	const shown = classes.length > MOST_CLASSES ? [...classes].sort((a, b) => a.f1 - b.f1).slice(0, MOST_CLASSES) : classes;
	const rows = shown.map(({ label, precision, recall, f1, support }) => [label, percent(precision, 2), percent(recall, 2), percent(f1, 2), count(support)]);
	const caption = shown === classes ? "Each class, on the test set" : `The ${MOST_CLASSES} classes with the lowest F1 of ${count(classes.length)}, on the test set`;
	return table(caption, ["class", "precision", "recall", "F1", "images"], rows);
}

function artifacts({ files, parity, left_out: leftOut, measured_on: machine, imported }) {
	const rows = Object.entries(parity).map(([file, proof]) => [
		file,
		bytes(files[file]?.size ?? 0),
		percent(proof.accuracy, 2),
		count(proof.different_answers),
		duration(proof.seconds_1),
		duration(proof.seconds_64),
	]);
	for (const [file, reason] of Object.entries(leftOut)) rows.push([file, `left out: ${reason}`, "", "", "", ""]);
	const compared = imported ? "the original" : "PyTorch on the whole test set";
	return table(`Artifacts, each compared with ${compared}; times on ${machine}, one thread`, ["file", "size", "accuracy", "differ", "for 1", "for 64"], rows);
}

function recipe({ recipe, libraries }) {
	const items = Object.entries({ ...recipe, ...libraries }).map(([name, value]) => `${name} ${value === "" ? "–" : value}`);
	return h("details.recipe", h("summary", "Recipe and libraries"), h("p.quiet", items.join(" · ")));
}

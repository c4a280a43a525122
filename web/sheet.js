/** A version's sheet of test pictures, cut up: rows of `columns` pictures, with what is known of each. */

import { blank, pngOf } from "./png.js";

/** All of them, each {label, answer, confidence, canvas(), file()}; Refused with 404 if the version has no such sheet. */
export async function sheetOf(models, version, name) {
	const { service } = models;
	const [facts, picture] = await Promise.all([
		service.json(models.path(version, `files/${name}.json`)),
		service.ask(models.path(version, `files/${name}.png`)),
	]);
	const bitmap = await createImageBitmap(await picture.blob());
	return facts.labels.map((label, at) => ({
		label,
		answer: facts.answers?.[at],
		confidence: facts.confidences?.[at],
		canvas: () => cut(bitmap, facts, at),
		file: () => pngOf(cut(bitmap, facts, at)),
	}));
}

function cut(bitmap, { side, columns }, at) {
	const [canvas, sheet] = blank(side);
	const [x, y] = [(at % columns) * side, Math.floor(at / columns) * side];
	sheet.drawImage(bitmap, x, y, side, side, 0, 0, side, side);
	return canvas;
}

/** A number of them, in random order. */
export const some = (pictures, number) =>
	pictures.map((each) => [Math.random(), each]).sort(([a], [b]) => a - b).slice(0, number).map(([, each]) => each);

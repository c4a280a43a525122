/** The images in a version's sheet of test images, which has rows of `columns` images. */

import { blank, preparable } from "./png.js";

/** All images, each {label, answer, confidence, candidate, current, canvas(), file()}; Refused with 404 if the version has no such sheet. */
export async function sheetOf(models, version, name) {
	const { service, card } = models;
	const [facts, sheet] = await Promise.all([
		service.json(models.path(version, `files/${name}.json`)),
		service.ask(models.path(version, `files/${name}.png`)),
	]);
	const bitmap = await createImageBitmap(await sheet.blob());
	return facts.labels.map((label, at) => ({
		label,
		answer: facts.answers?.[at],
		confidence: facts.confidences?.[at],
		candidate: facts.candidate?.[at],
		current: facts.current?.[at],
		canvas: () => cut(bitmap, facts, at),
		file: () => preparable(cut(bitmap, facts, at), card.preparation),
	}));
}

function cut(bitmap, { side, height = side, width = side, columns }, at) {
	const [canvas, context] = blank(width, height);
	const [x, y] = [(at % columns) * width, Math.floor(at / columns) * height];
	context.drawImage(bitmap, x, y, width, height, 0, 0, width, height);
	return canvas;
}

/** That many of the images, in random order. */
export const some = (images, number) =>
	images.map((each) => [Math.random(), each]).sort(([a], [b]) => a - b).slice(0, number).map(([, each]) => each);

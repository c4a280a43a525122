/**
 * Image files from canvases and data URLs.
 *
 * At once: toBlob() waits until the browser is idle, which takes up to a second while somebody draws.
 */

export const pngOf = (canvas) => fileOf(canvas.toDataURL("image/png"));

/** The file in a data URL; the page's policy does not let fetch() read it. */
export function fileOf(url) {
	const [head, content] = url.split(",");
	const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
	return new Blob([bytes], { type: head.slice("data:".length).split(";")[0] });
}

/** What is in an image file, no larger than the pad shows it: photos take 50 MB. */
export async function lookOf(file) {
	const bitmap = await createImageBitmap(file);
	const scale = Math.min(1, 720 / Math.max(bitmap.width, bitmap.height));
	const [canvas, sheet] = blank(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
	sheet.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
	bitmap.close();
	return canvas;
}

/** A canvas to draw on, with its context. */
export function blank(width, height = width) {
	const canvas = document.createElement("canvas");
	Object.assign(canvas, { width, height });
	return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

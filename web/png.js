/**
 * Image files from canvases and data URLs.
 *
 * They are made synchronously: toBlob() waits until the browser is idle, up to a second while the user draws.
 */

export const pngOf = (canvas) => fileOf(canvas.toDataURL("image/png"));

/** The file in a data URL; the page's policy does not let fetch() read it. */
export function fileOf(url) {
	const [head, content] = url.split(",");
	const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
	return new Blob([bytes], { type: head.slice("data:".length).split(";")[0] });
}

const SHOWN = 720; // pixels of the longer side, as the pad shows an image
const SENT = 2048; // pixels of the longer side of a photo that is scaled down: no model needs more
const LARGE = 6e6; // pixels from which an image is scaled down before it is sent

/**
 * The file to send for an image, and its bitmap for the pad.
 *
 * A large photo is scaled down, because it would take long to send and may exceed the limits of the service.
 * The canvas is upright according to EXIF, and so is the new file.
 */
export async function opened(file) {
	const bitmap = await createImageBitmap(file);
	const look = scaled(bitmap, SHOWN);
	const isLarge = bitmap.width * bitmap.height > LARGE;
	const sent = isLarge ? fileOf(scaled(bitmap, SENT).toDataURL(file.type === "image/jpeg" ? file.type : "image/png")) : file;
	bitmap.close();
	return { look, file: sent };
}

/** A data URL with the file. */
export function urlOf(file) {
	return new Promise((resolve, reject) => {
		const reader = new FileReader();
		reader.onload = () => resolve(reader.result);
		reader.onerror = () => reject(reader.error);
		reader.readAsDataURL(file);
	});
}

/** A canvas with the bitmap, whose longer side has at most that many pixels. */
function scaled(bitmap, most) {
	const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
	const [canvas, sheet] = blank(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
	sheet.imageSmoothingQuality = "high";
	sheet.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
	return canvas;
}

/**
 * A file of an image that has the size of the network's input; preparing the file gives the same pixels.
 *
 * The preparation of photos scales an image up and crops its margin, so a margin is added around the image.
 */
export function preparable(image, { kind, resize }) {
	const margin = kind === "photo" ? resize - Math.min(image.width, image.height) : 0;
	if (margin <= 0) return pngOf(image);
	const [canvas, sheet] = blank(image.width + margin, image.height + margin);
	sheet.drawImage(image, 0, 0, canvas.width, canvas.height);
	const edge = margin % 2 ? 2 * Math.round(margin / 4) : margin / 2; // half pixels are rounded to even, as in Python
	sheet.clearRect(edge, edge, image.width, image.height);
	sheet.drawImage(image, edge, edge);
	return pngOf(canvas);
}

/** A canvas to draw on, with its context. */
export function blank(width, height = width) {
	const canvas = document.createElement("canvas");
	Object.assign(canvas, { width, height });
	return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

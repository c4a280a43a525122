/**
 * What survives a reload: the theme and the brush, for all tabs; the drawing, for its own tab.
 *
 * Keys and tokens are never stored. A browser that stores nothing for this page loses nothing else.
 */

import { fileOf, opened, urlOf } from "./png.js";

const DRAWING = "drawing";
const LARGEST = 500_000; // bytes of an image file that is kept; browsers keep about 5 MB for a page

/** A setting, null if it is not stored. */
export const stored = (name) => read("localStorage", name);
export const store = (name, value) => write("localStorage", name, value);

/** Store the drawing after each stroke from now on; returns a function that puts the one of before the reload back. */
export function keepDrawing(pad) {
	const before = read("sessionStorage", DRAWING);
	pad.addEventListener("rest", () => save(pad));
	return async ({ draws }) => {
		if (before === null || !pad.empty) return;
		const { image, strokes } = JSON.parse(before);
		if (image) {
			const { file, look } = await opened(fileOf(image.url));
			if (!pad.empty) return; // drawn on meanwhile
			pad.put(file, look, image.truth, image.name);
		}
		if (draws) pad.add(strokes);
	};
}

async function save(pad) {
	const { revision, image, strokes, empty } = pad;
	let content = empty ? null : { strokes };
	if (image) content = image.file.size > LARGEST || image.look === null ? null : { strokes, image: { url: await urlOf(image.file), truth: image.truth, name: image.name } };
	if (pad.revision === revision) write("sessionStorage", DRAWING, content && JSON.stringify(content));
}

function read(storage, name) {
	try {
		return window[storage].getItem(name);
	} catch {
		return null; // the browser stores nothing for this page
	}
}

function write(storage, name, value) {
	try {
		if (value === null) window[storage].removeItem(name);
		else window[storage].setItem(name, value);
	} catch {
		// The same, or it is full: a reload then begins anew.
	}
}

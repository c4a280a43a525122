/**
 * What survives a reload: theme and brush, for all tabs; the drawing, for its own tab.
 *
 * Keys and tokens are never stored. The page also works in a browser that stores nothing.
 */

import { fileOf, opened, urlOf } from "./png.js";

const DRAWING = "drawing";
const LARGEST = 500_000; // bytes of an image file that is stored; browsers store about 5 MB for a page

/** A setting, null if it is not stored. */
export const stored = (name) => read("localStorage", name);
export const store = (name, value) => write("localStorage", name, value);

/** Store the drawing after each stroke from now on; returns a function that restores the one before the reload. */
export function keepDrawing(pad) {
	const before = read("sessionStorage", DRAWING);
	pad.addEventListener("rest", () => save(pad));
	return async ({ draws }) => {
		if (before === null || !pad.empty) return;
		const { image, strokes } = JSON.parse(before);
		if (image) {
			const { file, look } = await opened(fileOf(image.url));
			if (!pad.empty) return; // the user has drawn meanwhile
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
		return null; // the browser does not store anything for this page
	}
}

function write(storage, name, value) {
	try {
		if (value === null) window[storage].removeItem(name);
		else window[storage].setItem(name, value);
	} catch {
		// Not allowed, or full: a reload then loses the drawing.
	}
}

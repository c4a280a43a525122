/**
 * The sheet to draw on: strokes, optionally over an image, with undo and redo.
 *
 *   marks   all actions in order: {kind: "stroke", points}, "erase" with points, "image" or "clear";
 *           the last two hide all marks before them
 *   points  {x, y, width}, as fractions of the sheet's side
 *
 * "change" is dispatched while a stroke is drawn, "rest" when an action is complete.
 * The file to send has dark ink on white at 256x256, or is the image's own file if it has no strokes.
 */

import { blank, pngOf } from "./png.js";

const SENT = 256; // pixels; more would not improve a digit of 20 pixels
const MARGIN = 12; // pixels of paper around a drawing, so that no stroke ends at the edge of the image
const MOST = 500; // marks that are kept for undo, beside the visible ones

export class Pad extends EventTarget {
	width = 0.075; // of a stroke, as a fraction of the side
	erasing = false;
	revision = 0; // incremented with each change of the sheet
	#marks = [];
	#undone = [];
	#stroke = null; // in progress
	#pointer = null; // id of the pointer that draws it

	constructor(canvas) {
		super();
		this.canvas = canvas;
		this.context = canvas.getContext("2d", { willReadFrequently: true });
		this.#listen();
	}

	get empty() {
		return ![...this.#seen, this.#stroke].some((mark) => mark?.kind === "stroke" || mark?.kind === "image");
	}

	get canUndo() {
		return this.#marks.length > 0 || this.#stroke !== null;
	}

	get canRedo() {
		return this.#undone.length > 0;
	}

	/** The last mark that hides all marks before it, if there is one. */
	get ground() {
		return this.#marks.findLast(hides);
	}

	/** The image on the sheet, if there is one. */
	get image() {
		return this.ground?.kind === "image" ? this.ground : null;
	}

	/** Whether there is an image on the sheet, without strokes. */
	get isUntouchedImage() {
		return this.image !== null && this.#marks.at(-1) === this.image && !this.#stroke;
	}

	/** The strokes on the sheet, those over an image included. */
	get strokes() {
		return this.#seen.filter((mark) => !hides(mark));
	}

	/** Draw strokes that `strokes` returned. */
	add(strokes) {
		for (const stroke of strokes) this.#add(stroke);
		this.#drawn();
	}

	undo() {
		this.lift();
		this.#shift(this.#marks, this.#undone);
	}

	redo() {
		this.lift();
		this.#shift(this.#undone, this.#marks);
	}

	clear() {
		this.lift();
		if (!this.empty) this.#put({ kind: "clear" });
	}

	/** Empty the sheet, and forget what could be undone. */
	reset() {
		this.lift();
		this.#marks = [];
		this.#undone = [];
		this.#drawn();
	}

	/**
	 * Put an image on the sheet: its file, its bitmap (null: this browser cannot show it), its label, and the
	 * file's name on the user's disk (null: it has none).
	 */
	put(file, look, truth = null, name = null) {
		this.lift();
		this.#put({ kind: "image", file, look, truth, name, dark: look !== null && isDark(look) });
	}

	/** Put the pen down; `pressure` is from 0 to 1, and 0.5 for a mouse. */
	down(x, y, pressure = 0.5) {
		if (this.image?.look === null) this.clear(); // an invisible image cannot be drawn on
		this.#stroke = { kind: this.erasing ? "erase" : "stroke", points: [] };
		this.move(x, y, pressure);
	}

	move(x, y, pressure = 0.5) {
		if (!this.#stroke) return this.down(x, y, pressure); // the stroke was undone or cleared
		const { points, kind } = this.#stroke;
		const last = points.at(-1);
		if (last && Math.hypot(x - last.x, y - last.y) < 0.002) return;
		const width = this.width * (kind === "erase" ? 1.6 : 0.5 + pressure);
		points.push({ x, y, width: last ? (last.width + width) / 2 : width });
		this.#draw(this.#stroke, Math.max(0, points.length - 3));
		this.revision += 1;
		this.dispatchEvent(new Event("change"));
	}

	lift() {
		const stroke = this.#stroke;
		this.#stroke = this.#pointer = null;
		if (stroke) this.#put(stroke); // drawn anew: drawn in parts, its corners are sharper
	}

	/** The file to send. */
	get file() {
		const image = this.image;
		if (this.isUntouchedImage) return image.file;
		const [canvas, sheet] = blank(SENT);
		const margin = image ? 0 : MARGIN;
		sheet.drawImage(this.canvas, margin, margin, SENT - 2 * margin, SENT - 2 * margin);
		if (!image) {
			sheet.globalCompositeOperation = "source-in"; // changes the theme's ink to black
			sheet.fillRect(0, 0, SENT, SENT);
		}
		sheet.globalCompositeOperation = "destination-over";
		sheet.fillStyle = image?.dark ? "#000" : "#fff";
		sheet.fillRect(0, 0, SENT, SENT);
		return pngOf(canvas);
	}

	/** Draw everything again, also after a change of theme, which changes the ink. */
	redraw() {
		this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
		for (const mark of this.#seen) this.#draw(mark);
		if (this.#stroke) this.#draw(this.#stroke);
	}

	get #seen() {
		return this.#marks.slice(Math.max(0, this.#marks.lastIndexOf(this.ground)));
	}

	#add(mark) {
		this.#undone = [];
		this.#marks.push(mark);
		if (this.#marks.length > MOST && this.#marks[0] !== this.#seen[0]) this.#marks.shift();
	}

	#put(mark) {
		this.#add(mark);
		this.#drawn();
	}

	#shift(from, to) {
		if (!from.length) return;
		to.push(from.pop());
		this.#drawn();
	}

	#drawn() {
		this.redraw();
		this.revision += 1;
		this.dispatchEvent(new Event("rest"));
	}

	#listen() {
		const { canvas } = this;
		canvas.addEventListener("pointerdown", (event) => {
			// The same pointer may come again: its release was not reported.
			if (event.button !== 0 || (this.#pointer ?? event.pointerId) !== event.pointerId) return;
			event.preventDefault();
			canvas.classList.add("by-hand"); // hides the focus outline: the pointer shows the place
			canvas.focus({ preventScroll: true });
			canvas.setPointerCapture(event.pointerId);
			this.lift();
			this.down(...this.#place(event));
			this.#pointer = event.pointerId;
		});
		canvas.addEventListener("pointermove", (event) => {
			if (event.pointerId !== this.#pointer) return;
			// A fast pointer moves several times within a frame.
			const moves = event.getCoalescedEvents?.() ?? [];
			for (const each of moves.length ? moves : [event]) this.move(...this.#place(each));
		});
		for (const end of ["pointerup", "lostpointercapture"])
			canvas.addEventListener(end, (event) => event.pointerId === this.#pointer && this.lift());
	}

	#place(event) {
		const box = this.canvas.getBoundingClientRect();
		// A mouse reports 0.5. Fingers report 0, 1 or their size instead of a pressure.
		const pressure = event.pointerType === "pen" ? event.pressure : 0.5;
		return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, pressure];
	}

	#draw(mark, from = 0) {
		if (mark.kind === "image") this.#drawImage(mark);
		else if (mark.kind !== "clear") this.#drawStroke(mark, from);
	}

	#drawImage({ look, dark }) {
		const { context, canvas } = this;
		const side = canvas.width;
		if (look === null) return;
		context.fillStyle = dark ? "#000" : "#fff";
		context.fillRect(0, 0, side, side);
		const scale = side / Math.max(look.width, look.height);
		const [width, height] = [look.width * scale, look.height * scale];
		context.imageSmoothingEnabled = scale < 4; // a strongly enlarged image shows its pixels
		context.drawImage(look, (side - width) / 2, (side - height) / 2, width, height);
	}

	/** Draw from point `from` on, smoothly: with curves between the midpoints of successive points. */
	#drawStroke({ kind, points }, from) {
		const { context, canvas } = this;
		const side = canvas.width;
		const image = this.image;
		context.lineCap = context.lineJoin = "round";
		context.globalCompositeOperation = kind === "erase" && !image ? "destination-out" : "source-over";
		context.strokeStyle = this.#colour(kind, image);
		const middle = (a, b) => [((a.x + b.x) / 2) * side, ((a.y + b.y) / 2) * side];
		for (let at = from; at < points.length; at++) {
			const [before, point, after] = [points[at - 1] ?? points[at], points[at], points[at + 1] ?? points[at]];
			context.lineWidth = point.width * side;
			context.beginPath();
			context.moveTo(...middle(before, point));
			if (points.length === 1) context.lineTo(point.x * side + 0.01, point.y * side); // a dot
			else context.quadraticCurveTo(point.x * side, point.y * side, ...middle(point, after));
			context.stroke();
		}
		context.globalCompositeOperation = "source-over";
	}

	#colour(kind, image) {
		if (image) return (kind === "erase") === image.dark ? "#000" : "#fff";
		return getComputedStyle(this.canvas).color;
	}
}

const hides = ({ kind }) => kind === "image" || kind === "clear";

function isDark(look) {
	const [, context] = blank(8);
	context.fillStyle = "#fff";
	context.fillRect(0, 0, 8, 8);
	context.drawImage(look, 0, 0, 8, 8);
	const { data } = context.getImageData(0, 0, 8, 8);
	return data.reduce((sum, value) => sum + value, 0) / data.length < 140; // alpha is 255
}

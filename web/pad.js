/**
 * The sheet one draws on: strokes over perhaps an image, with undo and redo.
 *
 *   marks   what was done, in order: {kind: "stroke", points}, "erase" likewise, "image" or "clear";
 *           what came before one of the last two is seen no longer
 *   points  {x, y, width}, as fractions of the sheet's side
 *
 * "change" is dispatched while a stroke is drawn, "rest" when it or anything else is done.
 * What is sent is dark ink on white at 256x256, or the image's own file as long as nobody drew on it.
 */

import { blank, pngOf } from "./png.js";

const SENT = 256; // pixels; more do not make a digit of 20 any clearer
const MARGIN = 12; // pixels of paper around a drawing, so that no stroke ends at the edge of the image
const MOST = 500; // marks that are kept, but for those that are seen

export class Pad extends EventTarget {
	width = 0.075; // of a stroke
	erasing = false;
	revision = 0; // of what is on the sheet
	#marks = [];
	#undone = [];
	#stroke = null; // under way
	#pointer = null; // that draws it

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

	/** The mark that hides all before it, if there is one. */
	get ground() {
		return this.#marks.findLast(hides);
	}

	/** The image that lies on the sheet, if one does. */
	get image() {
		return this.ground?.kind === "image" ? this.ground : null;
	}

	/** Whether an image lies on the sheet and nobody drew on it. */
	get isUntouchedImage() {
		return this.image !== null && this.#marks.at(-1) === this.image && !this.#stroke;
	}

	/** The strokes on the sheet, over an image if there is one. */
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

	/** An empty sheet, with nothing to undo. */
	reset() {
		this.lift();
		this.#marks = [];
		this.#undone = [];
		this.#drawn();
	}

	/**
	 * Lay an image on the sheet: its file, how it looks (null: this browser cannot show it), its label, and the
	 * file's name on the user's disk (null: it has none).
	 */
	put(file, look, truth = null, name = null) {
		this.lift();
		this.#put({ kind: "image", file, look, truth, name, dark: look !== null && isDark(look) });
	}

	/** Put the pen down; `pressure` 0 to 1, 0.5 is a mouse's. */
	down(x, y, pressure = 0.5) {
		if (this.image?.look === null) this.clear(); // what one does not see one does not draw on
		this.#stroke = { kind: this.erasing ? "erase" : "stroke", points: [] };
		this.move(x, y, pressure);
	}

	move(x, y, pressure = 0.5) {
		if (!this.#stroke) return this.down(x, y, pressure); // undone or cleared under the pen
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
		if (!stroke) return;
		this.#add(stroke);
		this.redraw(); // its corners grew sharper; it must look as after undo and redo
		this.dispatchEvent(new Event("rest"));
	}

	/** What is to be read, as a file. */
	get file() {
		const image = this.image;
		if (this.isUntouchedImage) return image.file;
		const [canvas, sheet] = blank(SENT);
		const margin = image ? 0 : MARGIN;
		sheet.drawImage(this.canvas, margin, margin, SENT - 2 * margin, SENT - 2 * margin);
		if (!image) {
			sheet.globalCompositeOperation = "source-in"; // the theme's ink becomes black
			sheet.fillRect(0, 0, SENT, SENT);
		}
		sheet.globalCompositeOperation = "destination-over";
		sheet.fillStyle = image?.dark ? "#000" : "#fff";
		sheet.fillRect(0, 0, SENT, SENT);
		return pngOf(canvas);
	}

	/** Draw all of it anew: another theme has another ink. */
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
			// The same again: where it was lifted nobody heard of.
			if (event.button !== 0 || (this.#pointer ?? event.pointerId) !== event.pointerId) return;
			event.preventDefault();
			canvas.classList.add("by-hand"); // which knows where it is
			canvas.focus({ preventScroll: true });
			canvas.setPointerCapture(event.pointerId);
			this.lift();
			this.down(...this.#place(event));
			this.#pointer = event.pointerId;
		});
		canvas.addEventListener("pointermove", (event) => {
			if (event.pointerId !== this.#pointer) return;
			// A fast hand moves several times a frame.
			const moves = event.getCoalescedEvents?.() ?? [];
			for (const each of moves.length ? moves : [event]) this.move(...this.#place(each));
		});
		for (const end of ["pointerup", "lostpointercapture"])
			canvas.addEventListener(end, (event) => event.pointerId === this.#pointer && this.lift());
	}

	#place(event) {
		const box = this.canvas.getBoundingClientRect();
		// A mouse says 0.5. Fingers say 0, 1 or how large they are: what they press is not known.
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
		context.imageSmoothingEnabled = scale < 4; // else one wants to see the pixels
		context.drawImage(look, (side - width) / 2, (side - height) / 2, width, height);
	}

	/** From point `from` on, smoothly: curves from middle to middle of what the points are joined by. */
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

/**
 * The sheet one draws on: strokes over perhaps a picture, with undo and redo.
 *
 *   marks   what was done, in order: {kind: "stroke", ...}, {kind: "erase", ...} or {kind: "picture", ...},
 *           {kind: "clear", cleared: [...]} with the marks that were there
 *   points  {x, y, width}, as fractions of the sheet's side
 *
 * "change" is dispatched while a stroke is drawn, "rest" when it or anything else is done.
 * What is sent is dark ink on white at 256x256, or the picture's own file as long as nobody drew on it.
 */

import { blank, pngOf } from "./png.js";

const SENT = 256; // pixels; more do not make a digit of 20 any clearer
const MOST = 500; // marks that can be undone

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
		return !this.#stroke?.points.length && !this.#marks.some(({ kind }) => kind === "stroke" || kind === "picture");
	}

	get canUndo() {
		return this.#marks.length > 0;
	}

	get canRedo() {
		return this.#undone.length > 0;
	}

	/** The picture that lies on the sheet, if one does. */
	get picture() {
		return this.#marks.findLast((mark) => mark.kind === "picture") ?? null;
	}

	undo() {
		if (this.#stroke) this.lift();
		if (!this.canUndo) return;
		const mark = this.#marks.pop();
		this.#undone.push(mark);
		if (mark.kind === "clear") this.#marks = mark.cleared;
		this.#drawn();
	}

	redo() {
		const mark = this.#undone.pop();
		if (!mark) return;
		this.#marks = mark.kind === "clear" ? [mark] : [...this.#marks, mark];
		this.#drawn();
	}

	clear() {
		this.lift();
		if (this.empty) return;
		this.#undone = [];
		this.#marks = [{ kind: "clear", cleared: this.#marks }];
		this.#drawn();
	}

	/** Lay a picture on the sheet: its file, and how it looks (null: this browser cannot show it). */
	put(file, bitmap, truth = null) {
		this.lift();
		this.#add({ kind: "picture", file, bitmap, truth, dark: bitmap !== null && isDark(bitmap) });
		this.#drawn();
	}

	/** Put the pen down; `pressure` 0 to 1, 0.5 is a mouse's. */
	down(x, y, pressure = 0.5) {
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
		if (!stroke?.points.length) return;
		this.#add(stroke);
		this.redraw(); // while it grew its corners were sharper; it must look as after undo and redo
		this.dispatchEvent(new Event("rest"));
	}

	/** What is to be read, as a file. */
	get file() {
		const picture = this.picture;
		if (picture && this.#marks.at(-1) === picture && !this.#stroke) return picture.file;
		const [canvas, sheet] = blank(SENT);
		sheet.drawImage(this.canvas, 0, 0, SENT, SENT);
		if (!picture) {
			sheet.globalCompositeOperation = "source-in"; // the theme's ink becomes black
			sheet.fillRect(0, 0, SENT, SENT);
		}
		sheet.globalCompositeOperation = "destination-over";
		sheet.fillStyle = picture?.dark ? "#000" : "#fff";
		sheet.fillRect(0, 0, SENT, SENT);
		return pngOf(canvas);
	}

	/** Draw all of it anew: another theme has another ink. */
	redraw() {
		this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
		for (const mark of this.#marks) this.#draw(mark);
		if (this.#stroke) this.#draw(this.#stroke);
	}

	#add(mark) {
		this.#undone = [];
		this.#marks.push(mark);
		if (this.#marks.length > MOST) this.#marks.shift();
	}

	#drawn() {
		this.redraw();
		this.revision += 1;
		this.dispatchEvent(new Event("rest"));
	}

	#listen() {
		const { canvas } = this;
		canvas.addEventListener("pointerdown", (event) => {
			if (event.button !== 0 || this.#pointer !== null) return;
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
		for (const end of ["pointerup", "pointercancel"])
			canvas.addEventListener(end, (event) => event.pointerId === this.#pointer && this.lift());
	}

	#place(event) {
		const box = this.canvas.getBoundingClientRect();
		// A mouse says 0.5. Fingers say 0, 1 or how large they are: what they press is not known.
		const pressure = event.pointerType === "pen" ? event.pressure : 0.5;
		return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, pressure];
	}

	#draw(mark, from = 0) {
		if (mark.kind === "picture") this.#drawPicture(mark);
		else if (mark.kind !== "clear") this.#drawStroke(mark, from);
	}

	#drawPicture({ bitmap, dark }) {
		const { context, canvas } = this;
		const side = canvas.width;
		context.clearRect(0, 0, side, side);
		if (bitmap === null) return;
		context.fillStyle = dark ? "#000" : "#fff";
		context.fillRect(0, 0, side, side);
		const scale = side / Math.max(bitmap.width, bitmap.height);
		const [width, height] = [bitmap.width * scale, bitmap.height * scale];
		context.imageSmoothingEnabled = scale < 4; // else one wants to see the pixels
		context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
	}

	/** From point `from` on, smoothly: curves from middle to middle of what the points are joined by. */
	#drawStroke({ kind, points }, from) {
		const { context, canvas } = this;
		const side = canvas.width;
		const picture = this.picture;
		context.lineCap = context.lineJoin = "round";
		context.globalCompositeOperation = kind === "erase" && !picture ? "destination-out" : "source-over";
		context.strokeStyle = this.#colour(kind, picture);
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

	#colour(kind, picture) {
		if (picture?.bitmap) return (kind === "erase") === picture.dark ? "#000" : "#fff";
		return getComputedStyle(this.canvas).color;
	}
}

function isDark(bitmap) {
	const [, context] = blank(8);
	context.fillStyle = "#fff";
	context.fillRect(0, 0, 8, 8);
	context.drawImage(bitmap, 0, 0, 8, 8);
	const { data } = context.getImageData(0, 0, 8, 8);
	return data.reduce((sum, value) => sum + value, 0) / data.length < 140; // alpha is 255
}

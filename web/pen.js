/** Drawing with the keyboard: arrow keys move the pen, Space puts it down or lifts it. */

import { chord } from "./dom.js";

const STEP = 0.03; // of the sheet's side
const FAR = 3; // steps, with Shift
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pen {
	#x = 0.5;
	#y = 0.2;
	#isDown = false;

	constructor(pad, cursor, say) {
		this.pad = pad;
		this.cursor = cursor;
		this.say = say;
		pad.canvas.addEventListener("keydown", (event) => this.#key(event));
		pad.canvas.addEventListener("blur", () => this.#leave());
		pad.canvas.addEventListener("pointerdown", () => this.#leave(), true); // before the listener of the pad
	}

	#key(event) {
		if (chord(event)) return;
		const move = MOVES[event.key];
		if (move) this.#move(move, event.shiftKey ? FAR : 1);
		else if (event.key === " ") this.#toggle();
		else return;
		event.preventDefault(); // the keys would scroll the page
		this.#show();
	}

	#move([right, down], steps) {
		for (let step = 0; step < steps; step++) {
			this.#x = within(this.#x + right * STEP);
			this.#y = within(this.#y + down * STEP);
			if (this.#isDown) this.pad.move(this.#x, this.#y);
		}
	}

	#toggle() {
		this.#isDown = !this.#isDown;
		if (this.#isDown) this.pad.down(this.#x, this.#y);
		else this.pad.lift();
		this.say(this.#isDown ? "Pen down" : "Pen lifted");
	}

	#leave() {
		if (this.#isDown) this.pad.lift();
		this.#isDown = false;
		this.cursor.hidden = true;
	}

	#show() {
		this.pad.canvas.classList.remove("by-hand");
		this.cursor.hidden = false;
		this.cursor.classList.toggle("down", this.#isDown);
		this.cursor.style.left = `${this.#x * 100}%`;
		this.cursor.style.top = `${this.#y * 100}%`;
	}
}

const within = (value) => Math.min(0.97, Math.max(0.03, value));

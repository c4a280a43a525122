/** The view to draw or upload in: the pad with its tools and keys, all inputs for images, and the predictions. */

import { $, chord, sentence, setText, typing } from "./dom.js";
import { MOST_BARS } from "./answer.js";
import { Camera } from "./camera.js";
import { Pen } from "./pen.js";
import { Copy } from "./copy.js";
import { fileOf, opened } from "./png.js";
import { Reader } from "./reader.js";
import { store, stored } from "./stored.js";
import { Strip } from "./strip.js";

const MANY = 20; // classes; if there are more, the service reports only the likeliest
const SLOW = 1000; // milliseconds without a result after which an answer counts as that of an earlier image
const READING = "Reading…";
const WAITS = {
	down: "The service does not answer; this image waits.",
	offline: "This device is offline; this image waits.",
	full: "The service is full; this image waits.",
	locked: "The service needs an API key; this image waits.",
};

export class Draw {
	#other = ""; // the version to compare with
	#brought = 0; // number of images put on the pad
	#draws = true; // false: images are uploaded
	#slow = null; // timer until the shown answer is marked as old

	constructor({ service, views, notice, pad, answer, models, correct }) {
		Object.assign(this, { service, views, notice, pad, answer, models, correct });
		this.reader = new Reader(service, pad, {
			path: () => `v1/predict?debug=pixels${this.#top("&")}`,
			show: (reading) => this.#show(reading),
			fail: (error) => this.#unreadable(error),
			progress: () => this.#progress(),
		});
		service.addEventListener("state", () => this.#progress());
		this.otherReader = new Reader(service, pad, {
			path: () => (this.#other ? models.path(this.#other, "predict") + this.#top("?") : null),
			admin: true,
			show: (reading) => answer.compare(reading),
			fail: (error) => this.#notCompared(error),
		});
		this.strip = new Strip({ service, draw: this, path: () => this.reader.path() });
		new Copy({ service, pad });
		new Pen(pad, $("#cursor"), (text) => setText("spoken", text));
		this.#tools();
		this.#sources();
		this.#compare();
		addEventListener("keydown", (event) => this.#key(event));
		for (const event of ["change", "rest"]) pad.addEventListener(event, () => this.#look());
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => pad.redraw());
		this.#look();
	}

	/** Adapt to the served model: a pad to draw on, or an area for uploaded images. */
	adapt() {
		const { draws } = this.models;
		if (draws === this.#draws) return;
		this.#draws = draws;
		this.answer.nothing = draws ? "Nothing drawn yet" : "No image yet";
		this.#erase(false);
		this.pad.reset(); // strokes are only for models of drawings, photos only for the others
	}

	focus() {
		$(this.#draws ? "#pad" : "#shown").focus({ preventScroll: true });
	}

	/**
	 * Put an image on the pad, with its label and its bitmap if they are known. The browser need not be able to show it.
	 *
	 * `name` is the name of a file on the user's disk.
	 */
	async put(file, truth = null, look = null, name = null) {
		this.notice.hush();
		const mine = ++this.#brought;
		let content;
		try {
			content = new Blob([await file.arrayBuffer()], { type: file.type }); // the file on the disk may change
			if (look === null) ({ look, file: content } = await opened(content));
		} catch {
			if (!content?.type.startsWith("image/"))
				return this.notice.say(`${file.name || "This"} is not an image. Choose a PNG, JPEG, WebP, GIF, BMP or TIFF file.`);
		}
		if (mine !== this.#brought) return;
		this.views.go("draw");
		this.pad.put(content, look, truth, name);
	}

	/** Put the first of the user's files on the pad; if there are several, classify all in a strip. */
	async #bring(files, { onDisk = true } = {}) {
		this.strip.clear();
		if (!files.length) return;
		await this.put(files[0], null, null, onDisk ? files[0].name : null);
		if (files.length > 1) await this.strip.read(files);
	}

	async random() {
		try {
			const { image, label } = await this.service.json("v1/samples/random");
			await this.put(fileOf(image), label);
		} catch (error) {
			this.fail(error);
		}
	}

	/** Show the error of a refused image; the notice already shows the state of the service. */
	fail(error) {
		if (this.service.mayBeAsked && error.status) this.notice.say(`${sentence(error.message)}.`);
	}

	/** Request as many of the likeliest classes as there are bars, if not all are reported. */
	#top(separator) {
		return this.models.labels.length > MANY ? `${separator}top_k=${MOST_BARS}` : "";
	}

	/** While the image has no result: report what it waits for, and mark the answer to an earlier one. */
	#progress() {
		const { answer, reader, service } = this;
		if (!reader?.pending) return this.#settled();
		const { kind, detail } = service.state;
		const reason = WAITS[detail] ?? WAITS[kind] ?? (reader.refusal && `${sentence(reader.refusal)}.`);
		if (!answer.isShown) answer.empty(reason ?? READING);
		else if (reason || answer.isOld) answer.markOld(reason ?? READING);
		else this.#slow ??= setTimeout(() => answer.isShown && answer.markOld(READING), SLOW);
	}

	#settled() {
		clearTimeout(this.#slow);
		this.#slow = null;
	}

	#show(reading) {
		this.#settled();
		this.correct.offer(reading);
		if (reading === null) {
			this.answer.empty();
			this.answer.compare(null);
		} else {
			this.answer.show(reading);
			this.#caption(reading.label);
			this.models.serves(reading.version);
		}
	}

	#unreadable(error) {
		const blank = /\/blank-/.test(error.type);
		this.#settled();
		this.answer.empty(blank ? "Nothing to read yet" : "This image was not read");
		this.answer.compare(null);
		this.correct.offer(null);
		// Another kind of model may be served by now, which does not accept the image.
		if (/\/(version-replaced|bad-option)$/.test(error.type) || (blank && !this.models.draws)) this.models.list();
		if (!blank) this.fail(error);
	}

	#notCompared(error) {
		this.answer.compare(null);
		this.#other = $("#other").value = "";
		const needed = this.service.token ? "which is not what you typed in under Models" : "typed in under Models";
		if (error.status === 401) this.notice.say(`That version is not loaded, and loading it requires the admin token, ${needed}.`);
		else this.fail(error);
	}

	#tools() {
		const { pad } = this;
		for (const deed of ["undo", "redo", "clear"]) $(`#${deed}`).onclick = () => pad[deed]();
		$("#predict").onclick = () => this.reader.now();
		$("#eraser").onclick = () => this.#erase(!pad.erasing);
		const brush = $("#brush");
		brush.value = stored("brush") ?? brush.value;
		pad.width = brush.value / 100;
		brush.oninput = () => {
			pad.width = brush.value / 100;
			store("brush", brush.value);
		};
	}

	#erase(erasing) {
		this.pad.erasing = erasing;
		$("#eraser").setAttribute("aria-pressed", erasing);
		$("#sheet").classList.toggle("erasing", erasing);
	}

	#sources() {
		$("#random").onclick = () => this.random();
		$("#file").onchange = ({ target }) => {
			this.#bring([...target.files]);
			target.value = ""; // so that the same file can be chosen again
		};
		const camera = new Camera($("#camera"), (file) => this.put(file), (text) => this.notice.say(text));
		$("#use-camera").onclick = () => camera.open();
		$("#shown").onclick = () => $("#file").click();
		addEventListener("paste", (event) => {
			if (!typing(event.target)) this.#bring([...event.clipboardData.files], { onDisk: false });
		});
		addEventListener("dragover", (event) => {
			event.preventDefault();
			document.body.classList.add("dropping");
		});
		addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? document.body.classList.remove("dropping"));
		addEventListener("drop", (event) => {
			event.preventDefault();
			document.body.classList.remove("dropping");
			this.#bring([...event.dataTransfer.files]);
		});
	}

	#compare() {
		$("#other").onchange = ({ target }) => {
			this.#other = target.value;
			this.answer.compare(null);
			this.notice.hush();
			this.otherReader.now();
		};
		this.models.addEventListener("listed", () => {
			if ($("#other").value !== this.#other) {
				this.#other = "";
				this.answer.compare(null);
			}
		});
	}

	/** Have a key press a button if that is visible. */
	#key(event) {
		if (this.views.shown !== "draw" || typing(event.target) || event.altKey) return;
		const withControl = { z: event.shiftKey ? "redo" : "undo", y: "redo" };
		const alone = { c: "clear", e: "eraser", r: "random", enter: !event.target.closest("button, a, label") && "predict" };
		const pressed = (chord(event) ? withControl : alone)[event.key.toLowerCase()];
		if (!pressed || $(`#${pressed}`).hidden) return;
		event.preventDefault();
		$(`#${pressed}`).click();
	}

	#look() {
		const { canUndo, canRedo, empty, image } = this.pad;
		$("#undo").disabled = !canUndo;
		$("#redo").disabled = !canRedo;
		$("#invitation").hidden = !empty;
		if (!this.#draws) $("#shown").replaceChildren(image?.look ?? "");
		this.#caption();
	}

	/** Show the label of the image on the sheet, and whether the answer `read` (null: none) is the same. */
	#caption(read = null) {
		const { image, isUntouchedImage } = this.pad;
		const truth = image?.truth ?? null;
		const isJudged = isUntouchedImage && truth !== null && read !== null;
		const isMistake = isJudged && read !== truth;
		let text = truth === null ? "" : `labelled ${truth}`;
		if (isJudged) text += isMistake ? `, misclassified as ${read}` : ", classified correctly";
		if (image?.look === null && read !== null) text = "No preview: this browser cannot show this format";
		$("#truth").hidden = text === "";
		$("#truth").classList.toggle("bad", isMistake);
		setText("truth", text);
	}
}

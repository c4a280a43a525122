/** The camera, in use while its dialog is open. */

import { $ } from "./dom.js";
import { blank, pngOf } from "./png.js";

const WHY = {
	NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address, or upload an image.",
	NotFoundError: "This device has no camera. Upload an image instead.",
	NotReadableError: "The camera is in use by another program. Close that, or upload an image.",
};
const LONGEST = 1280; // pixels of the longer side of a photo

export class Camera {
	#stream = null;

	constructor(dialog, take, say) {
		Object.assign(this, { dialog, take, say, video: $("video", dialog) });
		$("#shoot").onclick = () => this.#shoot();
		$("#camera-close").onclick = () => dialog.close();
		dialog.addEventListener("close", () => this.#stop());
	}

	async open() {
		if (!navigator.mediaDevices)
			return this.say("Browsers allow the camera only to pages over HTTPS or on this machine. Upload an image instead.");
		try {
			const wish = { facingMode: "environment", width: { ideal: LONGEST } };
			const stream = await navigator.mediaDevices.getUserMedia({ video: wish });
			this.#stop(); // a second click, while the browser asked for permission, opened another stream
			this.#stream = stream;
		} catch (error) {
			return this.say(WHY[error.name] ?? `The camera does not work: ${error.message}`);
		}
		this.dialog.showModal();
		this.video.srcObject = this.#stream;
		await this.video.play().catch(() => {}); // the dialog was closed meanwhile
	}

	#shoot() {
		const { videoWidth: width, videoHeight: height } = this.video;
		const side = Math.min(width, height); // the centre square, which the dialog shows
		if (!side) return;
		const [canvas, sheet] = blank(side);
		sheet.drawImage(this.video, (side - width) / 2, (side - height) / 2);
		this.take(pngOf(canvas));
		this.dialog.close();
	}

	#stop() {
		this.video.srcObject = null;
		for (const track of this.#stream?.getTracks() ?? []) track.stop();
		this.#stream = null;
	}
}

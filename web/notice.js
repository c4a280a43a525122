/** A message about the state of the service, or about an action that failed. */

import { $, h } from "./dom.js";

export class Notice {
	#counting;
	#said = null; // the message about a failed action, until it is closed or replaced

	constructor(element, service) {
		this.element = element;
		this.service = service;
		service.addEventListener("state", () => this.#show());
	}

	/** Show a message about an action that failed; null: none. */
	say(text) {
		if (text === this.#said) return;
		this.#said = text;
		if (this.service.mayBeAsked) this.#show(); // else the form for the key must stay, into which the user may be typing
	}

	hush() {
		this.say(null);
	}

	#show() {
		clearInterval(this.#counting);
		const { kind, detail, until } = this.service.state;
		const close = h("button", { onclick: () => this.hush() }, "Close");
		if (kind === "down" && detail === "offline")
			this.#put("bad", "This device is offline. Your image is kept and read when the connection is back.");
		else if (kind === "down") this.#put("bad", "The service does not answer. The page keeps trying; your image is kept.");
		else if (kind === "not-ready") this.#put("bad", `The service is not ready: ${detail}. The page goes on when it is.`);
		else if (kind === "full") this.#count(until);
		else if (kind === "locked") this.#ask();
		else if (this.#said !== null) this.#put("bad", this.#said, close);
		else this.#put("");
	}

	#put(look, ...content) {
		this.element.className = look;
		this.element.replaceChildren(...content.map((each) => (typeof each === "string" ? h("p", each) : each)));
	}

	#count(until) {
		const left = h("span", { "aria-hidden": "true" }); // else a screen reader would announce every second
		const count = () => (left.textContent = ` The page tries again in ${Math.max(0, Math.ceil((until - Date.now()) / 1e3))} s.`);
		count();
		this.#put("wait", h("p", "The service is full.", left));
		this.#counting = setInterval(count, 500);
	}

	#ask() {
		const wrong = this.service.key !== "";
		const form = $("#unlock").content.cloneNode(true).firstElementChild;
		const key = $("input", form);
		form.onsubmit = (event) => {
			event.preventDefault();
			if (key.value) this.service.unlock(key.value);
		};
		this.#put("ask", wrong ? "This is not an API key of this service." : "This service requires an API key.", form);
		if (wrong) key.focus(); // the user has just typed there
	}
}

/** What the page says of the service's state, or of what just went wrong, in plain words. */

import { h } from "./dom.js";

export class Notice {
	#counting;
	#said = null; // of something that went wrong once, until it is closed or the next one comes

	constructor(element, service) {
		this.element = element;
		this.service = service;
		service.addEventListener("state", () => this.#show());
	}

	/** Of something that does not mend itself: "there is no camera here". */
	say(text) {
		this.#said = text;
		this.#show();
	}

	hush() {
		if (this.#said === null) return;
		this.#said = null;
		this.#show();
	}

	#show() {
		clearInterval(this.#counting);
		const { kind, detail, until } = this.service.state;
		const close = h("button", { type: "button", class: "quiet-button", onclick: () => this.hush() }, "Close");
		if (kind === "down")
			this.#put("bad", "The service does not answer. It is tried again all the time; nothing drawn is lost.");
		else if (kind === "not-ready") this.#put("bad", `The service is not ready: ${detail}. The page goes on when it is.`);
		else if (kind === "full") this.#count(until);
		else if (kind === "locked") this.#put("ask", this.service.key ? "That is none of this service's API keys." : "This service asks for an API key.", this.#form());
		else if (this.#said !== null) this.#put("bad", this.#said, close);
		else this.#put("");
	}

	#put(look, ...content) {
		this.element.className = look;
		this.element.replaceChildren(...content.map((each) => (typeof each === "string" ? h("p", {}, each) : each)));
	}

	#count(until) {
		const tell = () => {
			const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1e3));
			this.#put("wait", `The service is full. It is asked again in ${seconds} s, as it said.`);
		};
		tell();
		this.#counting = setInterval(tell, 500);
	}

	#form() {
		const key = h("input", {
			type: "password",
			autocomplete: "off",
			"aria-label": "API key",
			placeholder: "API key",
		});
		const unlock = (event) => {
			event.preventDefault();
			if (key.value) this.service.unlock(key.value);
		};
		return h("form", { onsubmit: unlock }, key, h("button", { type: "submit" }, "Use this key"));
	}
}

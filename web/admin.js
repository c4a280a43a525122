/**
 * The field for the admin token, which moves to the view that needs it, and its messages.
 *
 * "changed" is dispatched when a token has been entered.
 */

import { $ } from "./dom.js";

const TYPING = 400; // milliseconds without a change after which a token counts as complete
const CLOSED = "The admin routes are closed: the service was started without DIGITSERVE_ADMIN_TOKEN.";

export class Admin extends EventTarget {
	#timer;

	constructor({ service, views }) {
		super();
		Object.assign(this, { service, views, field: $("#token") });
		this.field.oninput = () => {
			service.token = this.field.value;
			this.say("");
			clearTimeout(this.#timer);
			this.#timer = setTimeout(() => this.#changed(), TYPING);
		};
		$("#admin").onsubmit = (event) => {
			event.preventDefault(); // Enter in the field would submit the form
			this.#changed();
		};
		views.addEventListener("shown", () => this.#place());
		this.#place();
	}

	say(text, look = "quiet") {
		const hint = $("#token-hint");
		hint.textContent = text || "Kept in this page's memory only.";
		hint.className = look;
		this.field.ariaInvalid = null;
	}

	/** Report why a request with the token failed. */
	explain(error) {
		if (error.status === 401) {
			this.say(this.service.token ? "That is not the admin token." : "This requires the admin token.", "bad");
			this.field.ariaInvalid = "true";
			this.field.focus();
		} else this.say(error.status === 403 ? CLOSED : `${error.message}.`, "bad");
	}

	#changed() {
		clearTimeout(this.#timer);
		this.dispatchEvent(new Event("changed"));
	}

	#place() {
		const row = $(`#${this.views.shown} .title-row[data-admin]`);
		if (row && !row.contains(this.field)) row.append($("#admin"));
		$("#rollback").hidden = this.views.shown !== "models";
	}
}

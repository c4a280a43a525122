/**
 * The corrections of users, for an admin: accept, reject or delete each image.
 *
 * The keys A, R and Delete act on the focused image, and the arrow keys move between images.
 */

import { $, h, setText } from "./dom.js";
import { moment } from "./panel.js";

const STATES = ["waiting", "accepted", "rejected"];
const PAGE = 60; // images
const KEYS = { a: "accept", r: "reject", delete: "delete" };
const MOVES = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

export class Review {
	#state = "waiting"; // of the images shown
	#next = null; // where the next page begins; null: there is none
	#decided = 0; // images since the page was loaded
	#list = $("#corrected-images");

	constructor(parts) {
		Object.assign(this, parts);
		$("#states").append(...STATES.map((state) => h("button", { type: "button", "data-state": state, onclick: () => this.#choose(state) }, state)));
		$("#more-corrections").onclick = () => this.#read(this.#next);
		this.#list.onkeydown = (event) => this.#key(event);
		this.views.addEventListener("shown", () => this.#turn());
		this.features.addEventListener("known", () => this.#turn());
		this.admin.addEventListener("changed", () => this.#turn());
	}

	#turn() {
		const wanted = this.views.shown === "training" && this.features.feedback && this.service.token !== "";
		$("#corrections").hidden = !wanted;
		if (wanted) this.#read();
	}

	#choose(state) {
		this.#state = state;
		this.#read();
	}

	/** Load the first page, or the one that begins at `after`. */
	async #read(after = null) {
		const [state, decided] = [this.#state, this.#decided];
		for (const button of $("#states").children) button.setAttribute("aria-pressed", button.dataset.state === state);
		const query = new URLSearchParams({ state, limit: PAGE, ...(after && { after }) });
		try {
			const found = await this.service.json(`v1/feedback?${query}`, { admin: true });
			if (state !== this.#state) return;
			if (decided !== this.#decided) return this.#read(after); // it may list an image decided meanwhile
			this.#next = found.next;
			for (const button of $("#states").children) button.textContent = `${button.dataset.state} (${found[button.dataset.state]})`;
			const tiles = found.images.map((image) => this.#tile(image));
			const focused = this.#list.contains(document.activeElement) ? document.activeElement.closest("li") : null;
			const place = [...this.#list.children].indexOf(focused);
			if (after) this.#list.append(...tiles);
			else this.#list.replaceChildren(...tiles);
			// For the next key; another image is at its place if it was decided meanwhile.
			if (focused && !focused.isConnected) (tiles.find((tile) => tile.dataset.sha256 === focused.dataset.sha256) ?? tiles[place] ?? tiles.at(-1) ?? this.#stateButton).focus();
			this.#look();
		} catch (error) {
			if (error.status === 401 || error.status === 403) this.admin.explain(error);
			else setText("corrections-state", `The corrections cannot be read: ${error.message}.`);
		}
	}

	/** The button of the state that is shown. */
	get #stateButton() {
		return $(`#states [data-state="${this.#state}"]`);
	}

	#look() {
		$("#more-corrections").hidden = this.#next === null;
		setText("corrections-state", this.#list.childElementCount ? "" : `No ${this.#state} corrections.`);
	}

	#tile(image) {
		const { sha256, labels, held_out: heldOut, disputed } = image;
		const shown = h("img", { alt: "", width: "84", height: "84" });
		this.#load(shown, sha256);
		const given = labels.filter(({ state }) => state !== "rejected").map(({ label }) => label);
		const open = !labels.some(({ state, reviewed }) => state !== "accepted" || reviewed);
		const notes = [disputed && "disputed", heldOut && "held out", open && "not reviewed"].filter(Boolean);
		const description = `${(given.length ? given : labels.map(({ label }) => label)).join(" or ")}${notes.length ? `, ${notes.join(", ")}` : ""}`;
		const tile = h("li", { tabindex: "0", "data-sha256": sha256, "aria-label": `Labelled ${description}`, title: `first sent ${moment(labels[0].created)}` }, shown, h("p", description));
		tile.append(h("div.row", this.#buttons(tile, labels)));
		return tile;
	}

	#buttons(tile, labels) {
		const button = (deed, name, act) => h("button", { type: "button", "data-deed": deed, onclick: () => this.#act(tile, act) }, name);
		const acceptable = labels.filter(({ reviewed }) => !reviewed);
		return [
			...acceptable.map(({ label }) => button("accept", labels.length > 1 ? `Accept ${label}` : "Accept", ["accept", label])),
			...(labels.some(({ state }) => state !== "rejected") ? [button("reject", "Reject", ["reject"])] : []),
			button("delete", "Delete", ["delete"]),
		];
	}

	/** Load with fetch: the route requires the admin token, which the URL of an image cannot carry. */
	async #load(shown, sha256) {
		try {
			const response = await this.service.ask(`v1/feedback/${sha256}`, { admin: true });
			shown.src = URL.createObjectURL(await response.blob());
			shown.onload = () => URL.revokeObjectURL(shown.src);
		} catch {
			shown.alt = "not there";
		}
	}

	#key(event) {
		const tile = event.target.closest("li");
		const move = MOVES[event.key];
		if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
		if (move) {
			event.preventDefault();
			(move > 0 ? tile.nextElementSibling : tile.previousElementSibling)?.focus();
		}
		// If there are several labels, the reviewer chooses one by its button.
		const buttons = tile.querySelectorAll(`[data-deed="${KEYS[event.key.toLowerCase()]}"]`);
		if (buttons.length === 1) buttons[0].click();
	}

	async #act(tile, [deed, label]) {
		const state = this.#state;
		const path = `v1/feedback/${tile.dataset.sha256}`;
		const query = label === undefined ? "" : `?${new URLSearchParams({ label })}`;
		for (const button of tile.querySelectorAll("button")) button.disabled = true;
		try {
			if (deed === "delete") await this.service.json(path, { method: "DELETE", admin: true });
			else await this.service.json(`${path}/${deed}${query}`, { method: "POST", admin: true });
		} catch (error) {
			if (error.status === 401 || error.status === 403) this.admin.explain(error);
			else setText("corrections-state", `${error.message}.`);
			for (const button of tile.querySelectorAll("button")) button.disabled = false;
			if (error.status !== 404) return; // it was deleted meanwhile
		}
		this.#decided++;
		const listed = this.#list.querySelector(`[data-sha256="${tile.dataset.sha256}"]`); // perhaps a list read meanwhile
		if (listed && state === this.#state) this.#leave(listed);
		else this.#read();
	}

	/** Remove an image from the list and update the counts; the focus moves to the next image. */
	async #leave(tile) {
		const held = tile.contains(document.activeElement) || document.activeElement === document.body;
		const next = tile.nextElementSibling ?? tile.previousElementSibling;
		tile.remove();
		if (held) (next ?? this.#stateButton).focus();
		this.#look();
		const counted = await this.service.json("v1/feedback?limit=1", { admin: true }).catch(() => null);
		for (const button of $("#states").children) if (counted) button.textContent = `${button.dataset.state} (${counted[button.dataset.state]})`;
		if (!this.#list.childElementCount && this.#next) this.#read();
	}
}

/**
 * The versions in the store: which one is served, their cards, and the buttons to switch.
 *
 * "listed" is dispatched whenever the list has been read.
 */

import { $, count, h, percent, setText } from "./dom.js";
import { cardOf } from "./card.js";
import { Unreachable } from "./service.js";
import { relation } from "./verdict.js";

const WORSE = "/problems/version-is-worse";
const METRICS = "training_metrics.json";
const FRESH = 5000; // milliseconds between two requests for the list while one of these views is shown
const FOLLOWS = ["draw", "models", "training"];

export class Models extends EventTarget {
	name = null;
	served = null; // the served version
	card = null; // the card of the served version
	failed = null; // the last switch, if it failed: {version, reason, at}
	#listing = Promise.resolve(); // requests in sequence: an older response must not replace a newer one
	#listed = "";
	#articles = new Map(); // by version; kept because its details may be open

	constructor({ service, views, notice, admin }) {
		super();
		Object.assign(this, { service, views, notice, admin });
		$("#worse-close").onclick = () => $("#worse").close();
		$("#rollback").onclick = () => this.#switch(`v1/models/${this.name}/rollback`);
		service.addEventListener("back", () => this.list());
		views.addEventListener("shown", () => this.#keepFresh());
		setInterval(() => this.#keepFresh(), FRESH);
		this.list();
	}

	get labels() {
		return this.card?.labels ?? [];
	}

	/** Whether images are drawn, because they are prepared as digits are, or uploaded. */
	get draws() {
		return this.card === null || this.card.preparation.kind === "digit";
	}

	get readsDigits() {
		return this.labels.length <= 10 && this.labels.every((label, at) => label === String(at));
	}

	/** Whether the served version has that file. */
	has(file) {
		return file in (this.card?.files ?? {});
	}

	get hasSamples() {
		return this.has("samples.png");
	}

	/** The route of a version, or of a part of it. */
	path(version, what = "") {
		return `v1/models/${this.name}/versions/${version}${what && `/${what}`}`;
	}

	/** The served version, once it is known. */
	async version() {
		if (this.served === null) await this.list();
		return this.served;
	}

	/** Read the list again if an answer names another version than the list. */
	serves(version) {
		if (version !== this.served) this.list();
	}

	/** Read the list; `quietly`: an error is not shown, because the list is read again soon. */
	list({ quietly = false } = {}) {
		return (this.#listing = this.#listing.then(() => this.#list(quietly)));
	}

	async #list(quietly) {
		try {
			const { models } = await this.service.json("v1/models");
			this.name = models[0].name;
			const [detail, { last_swap: swap }] = await Promise.all([this.service.json(`v1/models/${this.name}`), this.service.json("v1/status")]);
			this.served = detail.version;
			this.card = detail.card;
			this.failed = swap?.reason ? swap : null;
			this.#show(detail);
		} catch (error) {
			if (quietly || error instanceof Unreachable || this.service.state.kind === "locked") return; // "back" will be dispatched
			this.notice.say(`The list of models could not be loaded: ${error.message}.`);
		}
	}

	#keepFresh() {
		if (FOLLOWS.includes(this.views.shown) && !document.hidden && this.service.state.kind === "up") this.list({ quietly: true });
	}

	#show({ versions, count: all }) {
		const listed = JSON.stringify([versions, this.failed?.version, this.failed?.reason]);
		if (listed !== this.#listed) {
			this.#listed = listed;
			const held = document.activeElement;
			const article = held.closest("article");
			// A number may be reused, and a broken version repaired.
			this.#articles = new Map(versions.map((each) => [each.version + each.created, this.#article(each)]));
			const more = all > versions.length ? [h("p.quiet", `and ${all - versions.length} older ones`)] : [];
			$("#versions").replaceChildren(...this.#articles.values(), ...more);
			if (article) (held.isConnected ? held : $("summary", article))?.focus({ preventScroll: true });
			this.#offerOthers(versions);
			this.#showFailed();
		}
		this.dispatchEvent(new Event("listed"));
	}

	/** Show the last switch if it failed, also one by another client or by the store's `current`. */
	#showFailed() {
		$("#failed-switch").hidden = this.failed === null;
		if (this.failed === null) return;
		const { version, reason, at } = this.failed;
		const what = version === null ? "The store's current version" : `Version ${version}`;
		setText("failed-switch", `${what} could not be activated (${dateAndTime(at)}): ${reason}. Version ${this.served} still serves.`);
	}

	#article({ version, current, loaded, created, accuracy, data_set: data, test_images: images, verdict, compared_with: parent, broken, damage }) {
		let article = this.#articles.get(version + created);
		if (!article) {
			article = h("article", { class: "card", "data-version": version, "aria-label": `Version ${version}` }, h("div.summary"));
			if (!broken) article.append(this.#details(version));
		}
		const serves = loaded === "serves";
		const judged = verdict && h("span", { class: `chip ${verdict}` }, relation(verdict, parent));
		const failed = this.failed?.version === version ? this.failed.reason : null;
		const chips = [serves && "serves", current && !serves && "current in the store", loaded && !serves && loaded, broken && "broken", damage && "damaged", failed && "failed"];
		const activate = () => this.#switch(this.path(version, "activate"));
		article.classList.toggle("serves", serves);
		$(".summary", article).replaceChildren(
			h("h2", `Version ${version}`),
			...chips.filter(Boolean).map((chip) => h("span", { class: `chip ${chip}` }, chip)),
			judged || "",
			h("p.accuracy", accuracy == null ? [] : [percent(accuracy, 2), h("span.quiet", images == null ? " of the test set" : ` of ${count(images)} test images (${data})`)]),
			h("p.quiet.when", broken ?? failed ?? damage ?? dateAndTime(created)),
			serves || broken ? "" : h("button", { onclick: activate, "aria-label": `Activate version ${version}` }, "Activate"),
		);
		return article;
	}

	#details(version) {
		const details = h("details", h("summary", "Card"));
		details.ontoggle = async () => {
			if (!details.open || details.childElementCount > 1) return;
			const body = h("p.quiet", "Reading the card");
			details.append(body);
			try {
				const { card } = await this.service.json(this.path(version));
				const measured = METRICS in card.files;
				const metrics = measured ? await this.service.json(this.path(version, `files/${METRICS}`)) : null;
				body.replaceWith(cardOf(card, metrics));
			} catch (error) {
				body.remove();
				details.open = false;
				this.notice.say(`The card of version ${version} could not be loaded: ${error.message}.`);
			}
		};
		return details;
	}

	#offerOthers(versions) {
		const select = $("#other");
		const chosen = select.value;
		const others = versions.filter(({ loaded, broken }) => loaded !== "serves" && !broken);
		const options = others.map(({ version, loaded }) => h("option", { value: version }, `version ${version}${loaded ? "" : ", not loaded"}`));
		const unreadable = versions.some(({ broken }) => broken);
		select.options[0].textContent = others.length ? "off" : unreadable ? "no other version can be read" : "no other version";
		select.replaceChildren(select.options[0], ...options);
		select.disabled = !others.length;
		select.value = others.some(({ version }) => version === chosen) ? chosen : "";
	}

	async #switch(path, force = false) {
		this.admin.say("");
		this.notice.hush();
		const body = force ? JSON.stringify({ force }) : undefined;
		try {
			const { model, behind, warnings } = await this.service.json(path, { method: "POST", admin: true, body });
			const late = behind.length ? [`Workers ${behind.join(", ")} still serve another.`] : [];
			this.admin.say([`Version ${model.version} serves now.`, ...late, ...warnings].join(" "), "good");
			await this.list();
		} catch (error) {
			if (error.type === WORSE) this.#askWhetherToForce(error.message, () => this.#switch(path, true));
			else this.admin.explain(error);
		}
	}

	#askWhetherToForce(detail, activate) {
		const dialog = $("#worse");
		setText("worse-reasons", detail.slice(0, detail.lastIndexOf(" Send "))); // the rest addresses other clients
		$("#worse-force").onclick = () => {
			dialog.close();
			activate();
		};
		dialog.showModal();
	}
}

const dateAndTime = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/**
 * Shows one of the views, named by the hash of the URL, so that Back works and a view can be linked to.
 *
 * A view opens at its top, with the header visible. Back and Forward restore the scroll position, which
 * the entry of the history keeps.
 */

import { $ } from "./dom.js";

export class Views extends EventTarget {
	constructor(names) {
		super();
		this.names = names;
		addEventListener("hashchange", () => this.#show());
		addEventListener("scrollend", () => history.replaceState({ scrolled: scrollY }, ""));
		this.#show();
	}

	get shown() {
		const asked = location.hash.slice(1);
		return this.names.includes(asked) ? asked : this.names[0];
	}

	go(name) {
		if (name === this.shown) return;
		location.hash = name;
		this.#show();
	}

	/** Set the title of the document to that of the view, for tabs, bookmarks and screen readers. */
	title() {
		document.title = `${$(`nav a[href="#${this.shown}"]`).textContent} · digitserve`;
	}

	#show() {
		this.title();
		const opens = $(`#${this.shown}`).hidden;
		for (const name of this.names) {
			$(`#${name}`).hidden = name !== this.shown;
			$(`nav a[href="#${name}"]`).ariaCurrent = name === this.shown ? "page" : null;
		}
		if (opens) scrollTo(0, history.state?.scrolled ?? 0);
		this.dispatchEvent(new Event("shown"));
	}
}

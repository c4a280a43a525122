/** Finds and creates elements. Styles are set as properties, because the page's policy forbids style attributes. */

export const $ = (selector, root = document) => root.querySelector(selector);

/** Set the text of the element with that id. */
export const setText = (id, text) => ($(`#${id}`).textContent = text);

/** h("button.main", {onclick}, "Undo"): a name with classes; optionally attributes, where "on..." adds a listener; the content. */
export const h = (...of) => made("http://www.w3.org/1999/xhtml", ...of);

/** The same for SVG. */
export const s = (...of) => made("http://www.w3.org/2000/svg", ...of);

function made(namespace, name, ...content) {
	const [kind, ...classes] = name.split(".");
	const element = document.createElementNS(namespace, kind);
	if (classes.length) element.setAttribute("class", classes.join(" "));
	const properties = content[0]?.constructor === Object ? content.shift() : {};
	for (const [name, value] of Object.entries(properties)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else element.setAttribute(name, value);
	}
	element.append(...content.flat());
	return element;
}

/** The text with a capital first letter. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Whether keys belong to the focused element, into which one types or in which one chooses. */
export const typing = (target) => target.closest?.("input:not([type=range]), select, textarea, dialog") != null;

export const percent = (fraction, digits = 1) => (fraction == null ? "–" : `${(fraction * 100).toFixed(digits)} %`);

/** The same for a probability, which never reads as certain: > 99.9 %. */
export const chance = (probability) => (probability > 0.9995 ? "> 99.9 %" : percent(probability));

/** Seconds in words: 29 µs, 0.4 ms, 12 ms, 1.3 s. */
export function duration(seconds) {
	if (seconds == null) return "–";
	if (seconds >= 1) return `${seconds.toFixed(1)} s`;
	if (seconds < 1e-4) return `${Math.round(seconds * 1e6)} µs`;
	return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}

/** A longer time: 45 s, 3 min 20 s, 2 h 5 min. */
export function span(seconds) {
	const whole = Math.round(seconds);
	if (whole < 60) return `${whole} s`;
	if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
	return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** 1,234 or 12.3 or 0. */
export function count(value) {
	if (value == null) return "–";
	return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}

/** A table of rows whose first cell is a heading; it scrolls if it is too wide. */
export function table(caption, columns, rows) {
	const head = h("tr", columns.map((column) => h("th", { scope: "col" }, column)));
	const body = rows.map(([name, ...cells]) => h("tr", h("th", { scope: "row" }, name), cells.map((cell) => h("td", cell))));
	const whole = h("table", h("caption", caption), h("thead", head), h("tbody", body));
	return h("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": caption }, whole);
}

/** Whether a key is pressed together with a modifier key. */
export const chord = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;

export const bytes = (size) =>
	size < 1e3 ? `${size} B` : size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`;

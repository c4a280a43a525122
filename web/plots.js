/** Plots as SVG, with the colours of the theme: see views.css. */

import { percent, s } from "./dom.js";

export const W = 320;
export const H = 220;
const LETTER = 6; // pixels of width for a character of a name
const LONGEST = 12; // characters of a name
const LARGEST = 64; // pixels of a cell's side
export const PAD = { left: 66, right: 20, top: 12, bottom: 34 };

/** A linear scale from values to pixels. */
export const scale = (from, to, a, b) => (value) => a + ((value - from) / (to - from || 1)) * (b - a);
export const text = (x, y, content, look = "", anchor = "middle") => s("text", { x, y, class: look, "text-anchor": anchor }, content);
export const line = (points, look) => s("polyline", { class: look, points: points.map((point) => point.map((at) => at.toFixed(1)).join()).join(" ") });

export function frame(label, ...content) {
	return sized(H, label, ...content);
}

function sized(height, label, ...content) {
	return s("svg", { viewBox: `0 0 ${W} ${height}`, role: "img", "aria-label": label, class: "plot" }, ...content);
}

/** Grid lines, ticks and the titles of both axes. */
export function axes(x, y, xTicks, yTicks, [xTitle, yTitle]) {
	return [
		text((PAD.left + W - PAD.right) / 2, H - 2, xTitle),
		text(10, (PAD.top + H - PAD.bottom) / 2, yTitle, "up"),
		...yTicks.flatMap(([at, label]) => [s("line", { class: "grid", x1: PAD.left, x2: W - PAD.right, y1: y(at), y2: y(at) }), text(PAD.left - 6, y(at) + 4, label, "", "end")]),
		// A long label would leave the plot if it were centred.
		...xTicks.map(([at, label]) => text(x(at), H - PAD.bottom + 16, label, "", label.length > 6 ? "end" : "middle")),
	];
}

/** Errors on training and held-out images after each epoch, on a logarithmic scale, which shows the last tenths. */
export function curves(history) {
	const errors = (key) => history.map((epoch) => [epoch.epoch, Math.max(1 - epoch[key], 1e-4)]).filter(([, error]) => Number.isFinite(error));
	const sets = [["accuracy", "training"], ["validation_accuracy", "held-out"]].map(([key, look]) => [errors(key), look]);
	const all = sets.flatMap(([points]) => points.map(([, error]) => Math.log10(error)));
	const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
	const x = scale(1, history.length, PAD.left, W - PAD.right);
	const y = scale(low, high, H - PAD.bottom, PAD.top);
	const decades = Array.from({ length: high - low + 1 }, (_, at) => [low + at, percent(10 ** (low + at), Math.max(0, -2 - low - at))]);
	const drawn = sets.map(([points, look]) => line(points.map(([epoch, error]) => [x(epoch), y(Math.log10(error))]), `curve ${look}`));
	const last = errors("validation_accuracy").at(-1);
	const names = [text(W - PAD.right, PAD.top + 10, "training, distorted images", "name training", "end"), text(W - PAD.right, PAD.top + 26, "held-out images", "name held-out", "end")];
	const summary = `Error after each of ${history.length} epochs${last ? `; ${percent(last[1], 2)} of the held-out images at the end` : ""}`;
	return frame(summary, ...axes(x, y, [[1, "1"], [history.length, String(history.length)]], decades, ["epoch", "wrong (log scale)"]), ...drawn, ...names);
}

const shortened = (name) => (name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name);

/** Rows are labels, columns predictions; the diagonal is pale, so that errors stand out. */
export function confusion(matrix, labels) {
	const n = labels.length;
	const names = n > 26 ? [] : labels.map(shortened);
	const extra = LETTER * (Math.max(1, ...names.map((name) => name.length)) - 1); // pixels, for names longer than a character
	const cell = Math.min((W - 50 - extra) / n, LARGEST);
	const [left, top] = [(W - cell * n + extra) / 2 + 8, 14];
	const end = top + n * cell;
	const height = end + 32 + extra;
	const wrong = matrix.flatMap((row, r) => row.filter((_, c) => c !== r));
	const worst = Math.max(1, ...wrong);
	const cells = matrix.flatMap((row, r) =>
		row.flatMap((times, c) => {
			const look = r === c ? "right" : "wrong";
			const box = s("rect", { class: look, x: left + c * cell, y: top + r * cell, width: cell - 1, height: cell - 1, rx: 2 }, s("title", `${labels[r]} read as ${labels[c]}: ${times}`));
			if (r === c) return box;
			box.style.fillOpacity = times ? 0.12 + (0.38 * times) / worst : 0; // the number stays legible on it
			return times && n <= 12 ? [box, text(left + (c + 0.5) * cell, top + (r + 0.5) * cell + 3.5, times, "times")] : box;
		}),
	);
	const rows = names.map((name, at) => text(left - 5, top + (at + 0.5) * cell + 4, name, "", "end"));
	const columns = names.map((name, at) => text(left + (at + 0.5) * cell, end + 13 + extra / 2, name, extra ? "up" : ""));
	const mistakes = wrong.reduce((sum, times) => sum + times, 0);
	return sized(height, `${mistakes} mistakes, by label and what it was read as`, ...cells, ...rows, ...columns, text(left + (n * cell) / 2, height - 4, "read as"), text(10, top + (n * cell) / 2, "label", "up"));
}

/** The accuracy of predictions by their confidence; of a calibrated model it is on the diagonal. */
export function reliability(bins) {
	const x = scale(0, 1, PAD.left, W - PAD.right);
	const y = scale(0, 1, H - PAD.bottom, PAD.top);
	const most = Math.max(...bins.map(({ count }) => count));
	const ticks = [0, 0.5, 1].map((at) => [at, percent(at, 0)]);
	const dots = bins.map(({ confidence, accuracy, count }) =>
		s("circle", { class: "bin", cx: x(confidence), cy: y(accuracy), r: 3 + 6 * Math.sqrt(count / most) }, s("title", `${count} answers, ${percent(confidence)} sure: ${percent(accuracy)} right`)),
	);
	return frame("How often answers of a confidence are right", ...axes(x, y, ticks, ticks, ["confidence", "right"]), line([[x(0), y(0)], [x(1), y(1)]], "ideal"), ...dots);
}

/** The last values of a number (null: none) in an SVG of 240x48, the newest at the right, from 0 to their peak. */
export function spark(svg, values, most) {
	const x = scale(most - 1, 0, 0, 240);
	const y = scale(0, Math.max(...values, 1e-9), 46, 2);
	const points = values.map((value, at) => (value === null ? null : [x(values.length - 1 - at), y(value)]));
	const ends = [2, 46].map((at) => line([[0, at], [240, at]], "grid"));
	svg.replaceChildren(...ends, line(points.filter(Boolean), "curve"));
}

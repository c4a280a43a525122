/**
 * The curves of a training: loss, accuracy and learning rate over the training time.
 *
 * Loss and errors have logarithmic scales, which show the last tenths of a percent.
 */

import { H, PAD, W, axes, frame, line, scale, text } from "./plots.js";
import { percent, s, span } from "./dom.js";

const MOST = 400; // points of a line; longer lines are thinned to every second point, every third, ...
const LEAST = 1e-4; // smallest loss or error that is drawn
const AHEAD = 2; // the time axis ends at most at this multiple of the time trained so far
const STEPS = [1, 2, 5];

export const CURVES = ["Loss", "Accuracy", "Learning rate"];
const Y_TITLES = ["loss (log scale)", "accuracy (log scale)", "learning rate"];

/** A plot for each of CURVES, from points as `append` in follower.js makes them; at least one is needed. */
export function curvesOf(points) {
	const last = points.at(-1);
	const end = Math.min(last.at + (last.seconds_left ?? 0), last.at * AHEAD) || 1;
	const x = scale(0, end, PAD.left, W - PAD.right);
	const plots = [
		logarithmic("loss", points, x, { depth: (loss) => loss, most: Infinity, tick: String, spoken: rounded }),
		logarithmic("accuracy", points, x, { depth: (share) => 1 - share, most: 1, tick: accuracy, spoken: percent, upward: true }),
		rates(points, x),
	];
	const time = [[0, "0"], [end, span(end)]];
	return plots.map(([summary, y, ticks, drawn], at) => frame(`${CURVES[at]}: ${summary}`, ...axes(x, y, time, ticks, ["time trained", Y_TITLES[at]]), ...drawn));
}

/**
 * The values on the training images, and at the end of each epoch those on the held-out images.
 *
 * The scale shows the logarithm of a value's `depth`, at most `most`; `upward`: the smallest is on top.
 */
function logarithmic(key, points, x, { depth, most, tick, spoken, upward = false }) {
	const sets = [[key, "training"], [`validation_${key}`, "held-out"]].map(([name, look]) => [
		thinned(points.filter((point) => point[name] != null)).map((point) => [point, Math.max(depth(point[name]), LEAST)]),
		look,
	]);
	const depths = sets.flatMap(([values]) => values.map(([, value]) => value));
	const [low, high] = [below(Math.min(...depths)), Math.min(most, above(Math.max(...depths)))];
	const ends = [H - PAD.bottom, PAD.top];
	const y = scale(Math.log10(low), Math.log10(high), ...(upward ? ends.reverse() : ends));
	const at = ([point, value]) => [x(point.at), y(Math.log10(value))];
	const drawn = sets.flatMap(([values, look]) => [
		...partsOf(values).map((part) => line(part.map(at), `curve ${look}`)),
		...(look === "held-out" ? values.map((value) => dot(...at(value), look)) : []),
	]);
	const newest = (name) => points.findLast((point) => point[name] != null)?.[name];
	const [trained, held] = [newest(key), newest(`validation_${key}`)];
	const summary = `${spoken(trained)} of training images${held == null ? "" : `, ${spoken(held)} of held-out images`}`;
	const ticks = ticksBetween(low, high).map((value) => [Math.log10(value), tick(value)]);
	return [summary, y, ticks, [...drawn, ...legend(sets, upward)]];
}

function rates(points, x) {
	const most = Math.max(...points.map((point) => point.learning_rate)) || 1;
	const y = scale(0, most, H - PAD.bottom, PAD.top);
	const values = thinned(points).map((point) => [point, point.learning_rate]);
	const drawn = partsOf(values).map((part) => line(part.map(([point, value]) => [x(point.at), y(value)]), "curve"));
	return [rounded(points.at(-1).learning_rate), y, [[0, "0"], [most, rounded(most)]], drawn];
}

function legend(sets, below) {
	const top = below ? H - PAD.bottom - 24 : PAD.top + 10;
	const names = { training: "training, distorted images", "held-out": "held-out images" };
	return sets
		.filter(([values]) => values.length)
		.map(([, look], at) => text(W - PAD.right, top + 16 * at, names[look], `name ${look}`, "end"));
}

/** The lines of the teachers and of the network that they teach are not joined. */
function partsOf(values) {
	const parts = [];
	for (const value of values) {
		const [point] = value;
		if (parts.at(-1)?.[0][0].start === point.start) parts.at(-1).push(value);
		else parts.push([value]);
	}
	return parts;
}

function thinned(points) {
	const step = Math.ceil(points.length / MOST);
	return points.filter((_, at) => (points.length - 1 - at) % step === 0);
}

/** 1, 2 and 5 times the powers of ten from `low` to `high`, or only the powers if there are many. */
function ticksBetween(low, high) {
	const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
	const all = Array.from({ length: last - first + 1 }, (_, at) => first + at).flatMap((power) =>
		(last - first > 2 ? [1] : STEPS).map((step) => step * 10 ** power),
	);
	return all.filter((value) => value > low * 0.999 && value < high * 1.001).map((value) => Number(value.toPrecision(1)));
}

const stepsAround = (value) => [-1, 0, 1].flatMap((power) => STEPS.map((step) => step * 10 ** (Math.floor(Math.log10(value)) + power)));
const below = (value) => stepsAround(value).findLast((step) => step <= value * 0.999) ?? value;
const above = (value) => stepsAround(value).find((step) => step >= value * 1.001) ?? value;
const rounded = (value) => (value === 0 ? "0" : Number(value.toPrecision(2)).toString());
/** The accuracy of an error rate, with as many digits as it needs: 99.5 %. */
const accuracy = (error) => percent(1 - error, Math.max(0, Math.ceil(-Math.log10(error)) - 2));
const dot = (cx, cy, look) => s("circle", { class: `dot-of ${look}`, cx, cy, r: 2.5 });

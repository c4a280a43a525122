/**
 * The live numbers of the service: server-sent events of /v1/live.
 *
 * They are read with fetch, because EventSource cannot send an API key, and only while the view is
 * visible: the service limits the number of open streams.
 */

import { $, count, duration, h, setText } from "./dom.js";
import { spark } from "./plots.js";
import { showReplicas } from "./replicas.js";
import { eventsOf } from "./sse.js";

const KEPT = 60; // events, half a minute
const UNITS = { rate: " a second", p50: "", p99: "" }; // of the peaks whose values have no unit
const NUMBERS = ["rate", "p50", "p99", "queue", "errors", "provider", "live-version", "workers", "inflight", "watchers"];
const AGAIN = 2000; // milliseconds until an ended stream is requested again

export class Live {
	#abort = null; // ends the open stream
	#again = null;
	#past = { rate: [], p50: [], p99: [] };

	constructor({ service, views }) {
		Object.assign(this, { service, views });
		views.addEventListener("shown", () => this.#turn());
		document.addEventListener("visibilitychange", () => this.#turn());
		service.addEventListener("back", () => this.#turn());
		service.addEventListener("state", () => service.state.kind === "down" && this.#abort?.abort()); // it might never end by itself
		this.#turn();
	}

	#turn() {
		const wanted = this.views.shown === "live" && !document.hidden && this.service.state.kind !== "locked";
		if (wanted && this.#abort === null) this.#watch();
		if (!wanted) this.#abort?.abort();
	}

	async #watch() {
		clearTimeout(this.#again);
		const abort = (this.#abort = new AbortController());
		let wait = AGAIN;
		try {
			for await (const pulse of this.#pulses(abort.signal)) this.#show(pulse);
			setText("live-state", "The stream ended; it is asked for again.");
		} catch (error) {
			if (error.wait) wait = error.wait * 1e3;
			if (!abort.signal.aborted) setText("live-state", `${error.message}.`);
		}
		abort.abort(); // the stream is still open if an event could not be shown
		this.#abort = null;
		this.#forget();
		this.#again = setTimeout(() => this.#turn(), wait);
	}

	async *#pulses(signal) {
		const response = await this.service.ask("v1/live", { signal });
		for await (const { data } of eventsOf(response)) yield JSON.parse(data);
	}

	#show(pulse) {
		const { requests_per_second: rate, p50, p99, queue, queue_limit: limit } = pulse;
		setText("live-state", "");
		this.#dial("rate", rate, count);
		this.#dial("p50", p50, duration);
		this.#dial("p99", p99, duration);
		setText("queue", count(queue));
		setText("queue-limit", `of ${count(limit)} images that may wait`);
		$("#queue-bar").classList.remove("unknown");
		$("#queue-bar .fill").style.transform = `scaleX(${Math.min(1, queue / limit)})`;
		this.#errors(pulse);
		this.#batches(pulse);
		setText("provider", pulse.provider + (pulse.provider_fallback ? ", fallen back" : ""));
		setText("live-version", pulse.version);
		for (const id of ["workers", "inflight", "watchers"]) setText(id, pulse[id]);
		showReplicas(pulse);
		if (pulse.draining) setText("live-state", "The service is stopping.");
	}

	/** Show no numbers: those of a stream that has ended are out of date. */
	#forget() {
		for (const id of NUMBERS) setText(id, "–");
		for (const id of ["queue-limit", "errors-kinds", "calls"]) setText(id, "");
		$("#errors").classList.remove("bad");
		$("#queue-bar").classList.add("unknown");
		$("#batches").replaceChildren();
		for (const [name, past] of Object.entries(this.#past)) {
			past.length = 0;
			setText(`${name}-peak`, "");
			spark($(`#${name}-line`), past, KEPT);
		}
	}

	#dial(name, value, inWords) {
		setText(name, inWords(value));
		const past = this.#past[name];
		past.push(value);
		if (past.length > KEPT) past.shift();
		const peak = Math.max(...past);
		setText(`${name}-peak`, peak ? `peak ${inWords(peak)}${UNITS[name]}` : "");
		spark($(`#${name}-line`), past, KEPT);
	}

	#errors({ refused_per_second: refused, failed_per_second: failed, shed_per_second: shed }) {
		setText("errors", count(failed));
		$("#errors").classList.toggle("bad", failed > 0);
		setText("errors-kinds", `${count(shed)} shed, ${count(refused)} refused (4xx)`);
	}

	#batches({ batches, calls_per_second: calls }) {
		const all = batches.reduce((sum, each) => sum + each.calls, 0);
		setText("calls", `${count(calls)} model calls a second`);
		const used = batches.findLastIndex((each) => each.calls > 0);
		const bars = batches.slice(0, Math.max(7, used + 1)).map(({ most, calls: times }, at) => {
			const from = (batches[at - 1]?.most ?? 0) + 1;
			const name = most === null ? `${from}+` : from === most ? String(most) : `${from}–${most}`;
			const fill = h("span.column");
			fill.style.transform = `scaleY(${all ? times / all : 0})`;
			return h("li", h("span.shaft", fill), h("span.name.quiet", name), h("span.unseen", `: ${times} calls`));
		});
		$("#batches").replaceChildren(...bars);
	}
}

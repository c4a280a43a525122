/**
 * Requests to the service, and its state:
 *
 *   up          it responds
 *   down        it does not respond; `detail` is "offline" if this device has no network
 *   not-ready   /readyz says so: it is stopping, or its model does not respond
 *   full        503 until the time in Retry-After
 *   locked      it requires an API key
 *
 * "state" is dispatched whenever the state changes, "back" when it is up again. Secrets are only in
 * this object's memory and in request headers.
 */

const LOOK = 3000; // milliseconds between two requests of /readyz
const LOOK_AGAIN = 700; // while it is down, or not ready
const PATIENCE = 10000; // milliseconds to wait for a response; loading a version may take minutes

/** The service responded with an error. */
export class Refused extends Error {
	constructor(status, problem, wait) {
		super(problem.detail);
		this.status = status;
		this.type = problem.type;
		this.wait = wait; // seconds in Retry-After; 0: none
	}
}

/** The service did not respond. */
export class Unreachable extends Error {}

export class Service extends EventTarget {
	state = { kind: "up" };
	key = ""; // API key
	token = ""; // admin token, sent with requests that have `admin`
	#timer; // until the next request of /readyz
	#full; // timer until the time in Retry-After has passed

	/** Whether requests make sense now. A service that is stopping still answers them. */
	get mayBeAsked() {
		return this.state.kind === "up" || this.state.kind === "not-ready";
	}

	/** The response if it is successful; otherwise throws Refused or Unreachable. */
	async ask(path, { method = "GET", body, headers: more, admin = false, signal = AbortSignal.timeout(admin ? 6e5 : PATIENCE) } = {}) {
		const headers = { ...more };
		const secret = (admin && this.token) || this.key;
		if (secret) headers.Authorization = `Bearer ${secret}`;
		const response = await this.#arrived(fetch(path, { method, body, headers, cache: "no-cache", signal }), signal);
		if (response.ok) return response;
		throw this.#refusal(response.status, await problemOf(response), waitOf(response), admin);
	}

	async json(path, options) {
		const response = await this.ask(path, options);
		return this.#arrived(response.json());
	}

	/** The prediction for an image file, with the durations of its stages from the response's headers. */
	async read(file, path = "v1/predict", admin = false) {
		const began = performance.now();
		const response = await this.ask(path, { method: "POST", body: file, admin });
		const { model, predictions } = await this.#arrived(response.json());
		const timing = (response.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g);
		return {
			version: model.version,
			...predictions[0],
			request: response.headers.get("X-Request-ID"),
			file,
			stages: Object.fromEntries([...timing].map(([, stage, time]) => [stage, time / 1e3])), // seconds
			batch: Number(response.headers.get("X-Batch-Size")),
			seconds: (performance.now() - began) / 1e3, // of the whole request
		};
	}

	/** Poll /readyz from now on, while the page is visible. */
	watch() {
		document.addEventListener("visibilitychange", () => this.#look());
		addEventListener("online", () => this.#look());
		this.#look();
	}

	unlock(key) {
		this.key = key;
		this.#become({ kind: "up" });
	}

	/** The result of a request or of reading its body; Unreachable if the connection fails. */
	async #arrived(underWay, signal) {
		try {
			return await underWay;
		} catch {
			if (signal?.reason?.name === "AbortError") throw signal.reason; // the caller cancelled the request
			this.#isDown();
			throw new Unreachable("the service does not answer");
		}
	}

	#refusal(status, problem, wait, admin) {
		const refused = new Refused(status, problem, wait);
		if (status === 401 && !admin) this.#become({ kind: "locked", detail: refused.message });
		else if (status === 503 && /-full$|-connections$/.test(refused.type)) this.#isFull(refused);
		else if (status === 503 && /stopping$/.test(refused.type)) this.#become({ kind: "not-ready", detail: refused.message });
		return refused;
	}

	#isFull(refused) {
		const wait = (refused.wait || 1) * 1e3;
		this.#become({ kind: "full", until: Date.now() + wait });
		clearTimeout(this.#full);
		this.#full = setTimeout(() => this.state.kind === "full" && this.#become({ kind: "up" }), wait);
	}

	/** Set the state to down, because of the service or because this device is offline. */
	#isDown() {
		this.#become({ kind: "down", detail: navigator.onLine ? undefined : "offline" });
	}

	async #look() {
		clearTimeout(this.#timer);
		if (document.hidden) return;
		try {
			const response = await fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
			if (!response.ok) this.#become({ kind: "not-ready", detail: (await problemOf(response)).detail });
			else if (["down", "not-ready"].includes(this.state.kind)) this.#become({ kind: "up" });
		} catch {
			this.#isDown();
		}
		this.#lookLater();
	}

	#lookLater() {
		const soon = ["down", "not-ready"].includes(this.state.kind);
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#look(), soon ? LOOK_AGAIN : LOOK);
	}

	#become(state) {
		const before = this.state;
		this.state = state;
		if (state.kind === before.kind && state.kind !== "full" && state.detail === before.detail) return;
		this.dispatchEvent(new Event("state"));
		if (state.kind === "up") this.dispatchEvent(new Event("back"));
		// Not at once: a request that always fails would otherwise be repeated without a pause.
		if (state.kind === "down") this.#lookLater();
	}
}

async function problemOf(response) {
	return { detail: `it answered ${response.status}`, ...(await response.json().catch(() => null)) };
}

const waitOf = (response) => Number(response.headers.get("Retry-After")) || 0;

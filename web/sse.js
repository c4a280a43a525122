/** Server-sent events, read with fetch: EventSource cannot send the Authorization header. */

/** The events of a response, each {id, data}; `heard` is called for everything received, comments included. */
export async function* eventsOf(response, heard = () => {}) {
	let rest = "";
	let event = {};
	for await (const chunk of textOf(response.body)) {
		heard();
		const lines = (rest + chunk).split("\n");
		rest = lines.pop();
		for (const line of lines) {
			const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
			if (field) event[field] = value;
			if (line !== "") continue;
			if (event.data !== undefined) yield event;
			event = {};
		}
	}
}

/** Chunks of text; not every browser can iterate over a stream. */
async function* textOf(stream) {
	const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		yield value;
	}
}

/**
 * "Copy as": the request for the image on the pad, to paste into a terminal or a program.
 *
 * The text contains a drawing as Base64; it names a file of the user, or an image that is too large for a text.
 * It never contains the API key, but reads it from the environment variable API_KEY.
 */

import { $, setText } from "./dom.js";

const LONGEST = 48_000; // bytes of an image that is written into the text
const UNNAMED = "image.png"; // the name of a larger image that is not a file of the user

export class Copy {
	constructor({ service, pad }) {
		Object.assign(this, { service, pad });
		for (const button of $("#copy").querySelectorAll("[data-language]"))
			button.onclick = () => this.#copy(button.textContent, SNIPPETS[button.dataset.language]);
		for (const event of ["change", "rest"]) pad.addEventListener(event, () => this.#show());
		this.#show();
	}

	#show() {
		$("#copy").hidden = this.pad.empty;
		$("#snippet").hidden = true;
		setText("copied", "");
	}

	async #copy(language, snippet) {
		const { file, image, isUntouchedImage } = this.pad;
		const name = (isUntouchedImage && image.name) || (file.size > LONGEST ? UNNAMED : null);
		const url = new URL("v1/predict", document.baseURI).href;
		const text = snippet({ url, name, base64: name === null ? await base64Of(file) : null, hasKey: this.service.key !== "" });
		const hint = name === null ? "" : `, for ${name} in the current directory`;
		try {
			await navigator.clipboard.writeText(text); // not available to a page loaded over plain HTTP
			setText("copied", `Copied as ${language}${hint}.`);
		} catch {
			const area = Object.assign($("#snippet"), { value: text, hidden: false });
			area.focus();
			area.select();
			setText("copied", `Press Ctrl+C to copy it${hint}.`);
		}
	}
}

async function base64Of(blob) {
	const bytes = new Uint8Array(await blob.arrayBuffer());
	return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ url, name, base64, hasKey }) {
	const key = hasKey ? ' -H "Authorization: Bearer $API_KEY"' : "";
	const body = name === null ? `-H 'Content-Type: application/json' -d '{"image": "${base64}"}'` : `--data-binary ${inShell(`@${name}`)}`;
	return `curl -sS${key} ${body} ${inShell(url)}\n`;
}

function python({ url, name, base64, hasKey }) {
	const image = name === null ? `base64.b64decode("${base64}")` : `open(${JSON.stringify(name)}, "rb").read()`;
	const headers = hasKey ? ', headers={"Authorization": "Bearer " + os.environ["API_KEY"]}' : "";
	return `import base64, json, os, urllib.request

image = ${image}
request = urllib.request.Request(${JSON.stringify(url)}, data=image${headers})
with urllib.request.urlopen(request) as response:
    print(json.load(response)["predictions"][0])
`;
}

function javascript({ url, name, base64, hasKey }) {
	const image = name === null ? `Uint8Array.from(atob("${base64}"), (letter) => letter.charCodeAt(0))` : `await (await import("node:fs/promises")).readFile(${JSON.stringify(name)})`;
	const headers = hasKey ? ", headers: { Authorization: `Bearer ${process.env.API_KEY}` }" : "";
	return `const image = ${image};
const response = await fetch(${JSON.stringify(url)}, { method: "POST", body: image${headers} });
console.log((await response.json()).predictions[0]);
`;
}

const SNIPPETS = { curl, python, javascript };

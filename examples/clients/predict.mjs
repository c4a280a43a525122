// Classifies images with Node's own fetch, and repeats requests as the service asks for it.
//
//   node predict.mjs http://127.0.0.1:8000 seven.png photo.jpg
//
// Needs Node 18 or newer and no package.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 5;
const PATIENCE = 10_000; // milliseconds for one attempt

/** The prediction for one image file; an Error with the service's reason if there is none. */
async function predict(url, image) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(new URL("v1/predict", url), {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: image,
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.ok) {
      return (await response.json()).predictions[0];
    }
    const { title, detail } = await response.json(); // a problem document (RFC 9457)
    const wait = response.headers.get("Retry-After"); // seconds; only of errors that may pass
    if (wait === null || attempt === ATTEMPTS) {
      throw new Error(`${title}: ${detail}`);
    }
    await sleep(1000 * Number(wait));
  }
}

const [url, ...paths] = process.argv.slice(2);
if (paths.length === 0) {
  console.error("usage: node predict.mjs URL IMAGE...");
  process.exit(2);
}
for (const path of paths) {
  try {
    const { label, confidence } = await predict(url.replace(/\/*$/, "/"), await readFile(path));
    console.log(`${path}: ${label} (${(100 * confidence).toFixed(2)}%)`);
  } catch (error) {
    console.error(`${path}: ${error.cause?.message ?? error.message}`);
    process.exitCode = 1;
  }
}

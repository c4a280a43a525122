/** The comparison of a version with the one that was current when it was published. */

import { count, h } from "./dom.js";

/** "better than 3" */
export const relation = (verdict, version) => (verdict === "equal" ? `equal to ${version}` : `${verdict} than ${version}`);

/** The verdict with all checks, the failed ones first. */
export function verdictOf({ parent, verdict, images, gained, lost, checks }) {
	const changes = images ? `: ${count(gained)} images gained, ${count(lost)} lost of ${count(images)}` : "";
	const ordered = [...checks].sort((a, b) => a.passed - b.passed);
	const rows = ordered.map(({ name, passed, reason }) =>
		h("li", h("span", { class: `chip ${passed ? "passed" : "failed"}` }, passed ? "passed" : "failed"), h("b", name), h("span", reason)),
	);
	return h("section.verdict", h("h3", `Judged ${relation(verdict, parent)}${changes}`), h("ul", rows));
}

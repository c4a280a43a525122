/**
 * The replicas of the service in the live view: their number, which one reports them, and a row for
 * each. Events of /v1/live contain the rows if DIGITSERVE_PEERS is set.
 */

import { $, count, duration, h, sentence, table, setText } from "./dom.js";
import { clock } from "./panel.js";

const COLUMNS = ["Replica", "Version", "Requests a second", "p50", "p99", "Queue", "Errors a second", "State"];
const CAPTION = "Replicas: rates of the last 2 seconds, p50 and p99 of the last 10";

export function showReplicas({ replica, replicas, replicas_problem: problem }) {
	setText("replica", replica);
	const area = $("#replicas");
	area.hidden = replicas === null;
	if (replicas === null) return;
	const served = replicas.filter(({ load }) => load).map(({ version }) => version);
	const versions = [...new Set(served)].sort((one, other) => one - other);
	if (versions.length > 1) setText("live-version", versions.join(", "));
	const sorted = replicas.toSorted(inOrder);
	const fresh = table(CAPTION, COLUMNS, sorted.map((row) => cellsOf(row, replica, versions.length > 1)));
	const shown = $(".scrolls", area);
	if (shown) $("tbody", shown).replaceWith($("tbody", fresh)); // so that the table keeps its scroll position
	else area.append(fresh);
	const text = summaryOf(replicas, versions, problem);
	const summary = $("#replicas-summary");
	if (summary.textContent !== text) summary.textContent = text; // else screen readers would announce it again
}

function summaryOf(replicas, versions, problem) {
	const missing = replicas.filter(({ load }) => !load).length;
	const total = `${replicas.length} replica${replicas.length === 1 ? "" : "s"}`;
	return [
		missing ? `${total}, ${missing} not answering.` : `${total}.`,
		versions.length > 1 ? `They serve different versions: ${versions.join(", ")}.` : "",
		problem ? `${problem}.` : "",
	].join(" ").trim();
}

/** Sorted by name; replicas that have never answered have none and come last. */
function inOrder(one, other) {
	if ((one.replica === null) !== (other.replica === null)) return one.replica === null ? 1 : -1;
	return (one.replica ?? one.address).localeCompare(other.replica ?? other.address, "en", { numeric: true });
}

function cellsOf({ address, replica, version, load, problem, answered, draining }, own, differ) {
	const name = [replica ?? address, h("span.quiet", replica === own ? " shows this page" : replica && address ? ` ${address}` : "")];
	const served = load && differ ? h("span.chip.differs", version) : (version ?? "–");
	if (!load) {
		const last = answered ? `, last answer at ${clock(answered * 1e3)}` : "";
		return [name, served, "–", "–", "–", "–", "–", h("span.bad", `${sentence(problem)}${last}`)];
	}
	const { requests_per_second: rate, p50, p99, queue, failed_per_second: failed } = load;
	const errors = failed > 0 ? h("span.bad", count(failed)) : count(failed);
	return [name, served, count(rate), duration(p50), duration(p99), count(queue), errors, draining ? "Stopping" : "Answers"];
}

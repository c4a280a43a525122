"""The results as text: a sentence and two tables for the terminal, and all of it in Markdown."""

import math
from collections.abc import Iterator
from statistics import fmean, median

from loadtest.report import document
from loadtest.report.document import Columns, Line
from loadtest.soak.results import BUSY, Results
from loadtest.soak.run import End
from loadtest.soak.trend import FEWEST, Finding

HOW = """\
A steady load of all kinds of requests, on one core, from users on another where there is one, while
versions are switched. The warm-up is not judged; the rest is averaged in blocks as long as two
switches, and a line is fitted to them: its slope, with the 95 % interval of Student's t. Blocks
that depend on their neighbours count as fewer. The soak fails if an interval lies above zero and
its slope above the bound, or if one request or switch fails.

* RSS, PSS: of all processes of the service; pages that processes share count once in PSS.
* p50, p99: of POST /v1/predict between two observations, from the service's histogram.
"""


TRENDS: Columns[Finding] = {
    "after the warm-up": lambda found: found.quantity.name,
    "mean": lambda found: "-" if found.mean is None else f"{found.mean:,.1f}{_unit(found)}",
    "slope (95 % interval)": lambda found: found.slope,
    "bound": lambda found: (
        "none" if math.isinf(found.quantity.bound) else f"{found.quantity.bound:g}{_unit(found)}/h"
    ),
    "judged": lambda found: found.words,
}


def headline(results: Results) -> str:
    """One sentence, without a full stop."""
    seconds = results.outcome.seconds
    length = f"{seconds / 60:.0f} minutes" if seconds > 100 else f"{seconds:.0f} seconds"
    ran = f"{length}, {results.outcome.requests:,} requests"
    if results.failures:
        others = len(results.failures) - 1
        more = f", and {others} more" if others else ""
        return f"Fails: {ran}; {results.failures[0]}{more}"
    memory = results.findings[0]
    if memory.trend is None:
        return f"{ran}, none failed; too short to judge trends"
    return f"{ran}, none failed; {memory.quantity.name} {memory.slope}, {memory.words}"


def plain(results: Results) -> str:
    tables = map(document.as_text, (document.table(results.findings, TRENDS), load(results)))
    failed = "\n".join(f"  * {each}" for each in results.failures)
    return document.paragraphs(*tables, *_notes(results), f"{headline(results)}.", failed)


def markdown(results: Results, plot: str) -> str:
    """`plot`: the address of the plot, relative to the report; empty if there is none."""
    plan = results.plan
    details = {
        "load": f"{plan.users} users, {plan.think} s between an answer and their next request",
        "switched": f"every {plan.switch_every:g} s, between {plan.versions} copies of the model",
        "observed": f"every {plan.look_every:g} s; not judged: the first {plan.warm_up:g} s",
    }
    failed = "\n".join(f"* {each}" for each in results.failures)
    return document.paragraphs(
        "# A soak, measured",
        "Written by `make soak`; the next run replaces it.",
        f"**{headline(results)}.**",
        f"![Memory, descriptors, latency and load over time]({plot})" if plot else "",
        document.conditions(results.conditions, details, ours="DIGITSERVE_THREADS=1"),
        HOW.strip(),
        document.as_markdown(document.table(results.findings, TRENDS)),
        document.as_markdown(load(results)),
        *_notes(results),
        f"What failed:\n\n{failed}" if failed else "",
    )


def load(results: Results) -> list[Line]:
    outcome, plan = results.outcome, results.plan
    periods, took = outcome.periods, [each.seconds * 1e3 for each in outcome.switches]
    lines: list[Line] = [
        ("load", ""),
        ("requests", f"{outcome.requests:,} in {outcome.seconds:,.0f} s"),
        ("a second, of those aimed at", f"{results.rate:,.0f} of {plan.rate:,.0f}"),
        ("that failed", f"{sum(kind.failures for kind in outcome.kinds)}"),
        *((f"  {kind.what}", f"{kind.requests:,}") for kind in outcome.kinds),
        ("locust's share of its core", f"{results.generator:.0%}"),
    ]
    if took:
        failed = sum(bool(each.failed) for each in outcome.switches)
        times = f"median {median(took):.0f} ms, longest {max(took):.0f} ms"
        lines.append(("switches", f"{len(took)}, {failed} failed; {times}"))
    if periods:
        lines += [
            ("the service's share of its core", f"{fmean(each.cpu for each in periods):.0%}"),
            ("p50, median over time", f"{median(each.p50 for each in periods) * 1e3:.2f} ms"),
            ("p99, median over time", f"{median(each.p99 for each in periods) * 1e3:.2f} ms"),
        ]
    return lines


def _unit(finding: Finding) -> str:
    return f" {finding.quantity.unit}" if finding.quantity.unit else ""


def _notes(results: Results) -> Iterator[str]:
    plan, outcome = results.plan, results.outcome
    if outcome.end in (End.INTERRUPTED, End.LOAD_GONE):
        ran = f"{outcome.seconds:.0f} of {plan.seconds:.0f} s"
        yield f"Not to its end: {outcome.end} after {ran}."
    if not results.judged:
        needed = (plan.warm_up + FEWEST * plan.block) / 60
        yield (
            f"Too short to judge trends: that takes {FEWEST} blocks of {plan.block:g} s after the "
            f"warm-up of {plan.warm_up:g} s, {needed:.3g} minutes. "
            "Only requests and switches were judged."
        )
    if results.generator > BUSY:
        yield f"Locust took {results.generator:.0%} of its core: it may have been the bottleneck."

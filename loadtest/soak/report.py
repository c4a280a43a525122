"""The results in words: one sentence, two tables for the terminal, and all of it in Markdown."""

import math
from collections.abc import Iterator
from statistics import fmean, median

from loadtest.report.conditions import conditions
from loadtest.report.tables import Line, as_markdown, as_text
from loadtest.soak.observed import End
from loadtest.soak.results import BUSY, Results
from loadtest.soak.trend import FEWEST, Finding

HOW = """\
A steady load of all kinds of requests, on one core, from users on another where there is one, while
versions are switched. What came before the warm-up's end is not judged; the rest is averaged in
blocks as long as two switches, and a line is laid through them: its slope, with the 95 % interval
of Student's t. Blocks that depend on their neighbours count as fewer. The soak fails if an interval
lies above zero and its slope above the bound, or if one request or switch fails.

* RSS, PSS: of all processes of the service; pages that processes share count once in PSS.
* p50, p99: of POST /v1/predict between two looks, as the service counts it, from buckets.
"""


def headline(results: Results) -> str:
    """One sentence, without its end."""
    seconds = results.seen.seconds
    long = f"{seconds / 60:.0f} minutes" if seconds > 100 else f"{seconds:.0f} seconds"
    ran = f"{long}, {results.seen.requests:,} requests"
    if results.failures:
        others = len(results.failures) - 1
        more = f", and {others} more" if others else ""
        return f"Fails: {ran}; {results.failures[0]}{more}"
    memory = results.findings[0]
    if memory.trend is None:
        return f"{ran}, none failed; too short to judge trends"
    return f"{ran}, none failed; {memory.quantity.name} {memory.slope}, {memory.words}"


def plain(results: Results) -> str:
    parts = [as_text(trends(results)), as_text(load(results)), *_notes(results)]
    failed = "\n".join(f"  * {each}" for each in results.failures)
    return "\n\n".join([*parts, f"{headline(results)}.", *([failed] if failed else [])])


def markdown(results: Results, picture: str) -> str:
    """`picture`: where the plot is, beside the text; none if there is none."""
    plan = results.plan
    details = {
        "load": f"{plan.users} users, {plan.think} s between an answer and their next request",
        "switched": f"every {plan.switch_every:g} s, between {plan.versions} copies of the model",
        "looked at": f"every {plan.look_every:g} s; not judged: the first {plan.warm_up:g} s",
    }
    parts = [
        "# A soak, measured",
        "Written by `make soak`; the next one replaces it.",
        f"**{headline(results)}.**",
        *([f"![Memory, descriptors, latency and load over time]({picture})"] if picture else []),
        conditions(results.conditions, details, ours="DIGITSERVE_THREADS=1"),
        HOW.strip(),
        as_markdown(trends(results)),
        as_markdown(load(results)),
        *_notes(results),
        *(
            ["What failed:", "\n".join(f"* {each}" for each in results.failures)]
            if results.failures
            else []
        ),
    ]
    return "\n\n".join(parts) + "\n"


def trends(results: Results) -> list[Line]:
    head = ("after the warm-up", "mean", "slope (95 % interval)", "bound", "judged")
    return [head, *map(_trend, results.findings)]


def _trend(finding: Finding) -> Line:
    quantity = finding.quantity
    unit = f" {quantity.unit}" if quantity.unit else ""
    return (
        quantity.name,
        "-" if finding.mean is None else f"{finding.mean:,.1f}{unit}",
        finding.slope,
        "none" if math.isinf(quantity.bound) else f"{quantity.bound:g}{unit}/h",
        finding.words,
    )


def load(results: Results) -> list[Line]:
    seen, plan = results.seen, results.plan
    periods, took = seen.periods, [each.seconds * 1e3 for each in seen.switches]
    lines: list[Line] = [
        ("load", ""),
        ("requests", f"{seen.requests:,} in {seen.seconds:,.0f} s"),
        ("a second, of those aimed at", f"{results.rate:,.0f} of {plan.rate:,.0f}"),
        ("that failed", f"{sum(kind.failures for kind in seen.kinds)}"),
        *((f"  {kind.what}", f"{kind.requests:,}") for kind in seen.kinds),
        ("locust's share of its core", f"{results.generator:.0%}"),
    ]
    if took:
        failed = sum(bool(each.failed) for each in seen.switches)
        times = f"median {median(took):.0f} ms, longest {max(took):.0f} ms"
        lines.append(("switches", f"{len(took)}, {failed} failed; {times}"))
    if periods:
        lines += [
            ("the service's share of its core", f"{fmean(each.cpu for each in periods):.0%}"),
            ("p50, median of all looks", f"{median(each.p50 for each in periods) * 1e3:.2f} ms"),
            ("p99, median of all looks", f"{median(each.p99 for each in periods) * 1e3:.2f} ms"),
        ]
    return lines


def _notes(results: Results) -> Iterator[str]:
    plan, seen = results.plan, results.seen
    if seen.end in (End.INTERRUPTED, End.LOAD_GONE):
        yield f"Not to its end: {seen.end} after {seen.seconds:.0f} of {plan.seconds:.0f} s."
    if not results.judged:
        needed = (plan.warm_up + FEWEST * plan.block) / 60
        yield (
            f"Too short to judge trends: that takes {FEWEST} blocks of {plan.block:g} s after the "
            f"warm-up of {plan.warm_up:g} s, {needed:.3g} minutes. "
            "Only requests and switches were judged."
        )
    if results.generator > BUSY:
        yield f"Locust took {results.generator:.0%} of its core: it may be what was measured."

"""The results as one text: for the terminal, and with their conditions for docs/benchmarks/."""

import re
from collections.abc import Callable
from pathlib import Path

from loadtest.capacity.probe import Probe
from loadtest.capacity.results import Results, median
from loadtest.capacity.search import Stopped
from loadtest.host.machine import Conditions
from loadtest.report.document import Line, as_markdown, as_text, conditions
from loadtest.report.slo import shown_fraction, shown_seconds
from loadtest.target.server import ROOT

FOLDER = ROOT / "docs/benchmarks"
TRADE_MARKS = re.compile(r"\((r|tm)\)|cpu|processor|@.*", re.IGNORECASE)

HOW = """\
An open loop offers a rate for some seconds: Poisson arrivals, each at a time drawn beforehand, sent
then whether or not the server has answered those before. Latency is counted from that time, so a
stall counts for everybody who came during it. The rate is doubled until the promise is broken, then
bisected; that is repeated with a server started anew and both ends verified anew.

* capacity: the median of the highest rates of the searches. The interval is that of order
  statistics: each search is as likely above the true median as below it, so of 6 all lie on the
  same side with 2 / 2^6 = 3.1 %, and between the lowest and the highest it lies with 96.9 %.
  That takes searches for independent, and all but the first begin near what was found before and
  lean towards it: the interval is rather too narrow. It covers what varies from search to search
  here, not another machine or other pictures.
* errors: any status but 200, another digit than the picture shows, a broken connection, no answer.
* p50, p99, p99.9: of requests answered with 200 and of those that got no answer, which never end.
* server, generator: share of their cores, warm-up included. pictures a call: the mean of a probe.
* A probe does not count if its generator took more than 90 % of its core, or got to 1 % of the
  requests later than a tenth of the promised p99: then it is the generator that was measured.
"""


def plain(results: Results) -> str:
    return "\n\n".join([verdict(results), *map(as_text, tables(results)), *_notes(results)])


def markdown(results: Results) -> str:
    plan, margin = results.plan, results.margin
    more = {
        "promise": str(plan.slo),
        "searches": f"{len(results.searches)}, with probes of {plan.seconds:g} s after "
        f"{plan.warm_up:g} s of warm-up",
        "connections": f"at most {plan.connections} of each generator",
    }
    if not plan.placement.server:
        more["settings handed on"] = "none: the server was running"
    parts = [
        "# Capacity, measured",
        "Written by `make capacity`; the next one on such a machine replaces it.",
        f"**{verdict(results)}**",
        conditions(results.conditions, more, ours="DIGITSERVE_THREADS=1"),
        HOW.strip(),
        *map(as_markdown, tables(results)),
        *_notes(results),
    ]
    if results.replicas:
        parts.append(
            f"Replicas are counted from the lower end of the interval, with "
            f"{margin.headroom:.0%} of it left as headroom, and {margin.spare} spare."
        )
    return "\n\n".join(parts) + "\n"


def path_for(conditions: Conditions) -> Path:
    """docs/benchmarks/capacity-<machine>.md"""
    processor = TRADE_MARKS.sub(" ", conditions.processor)
    cores = "1 core" if conditions.cores == 1 else f"{conditions.cores} cores"
    words = re.findall(r"[a-z0-9]+", f"{processor} {cores}".lower())
    return FOLDER / f"capacity-{'-'.join(words)}.md"


def verdict(results: Results) -> str:
    """In one sentence or two."""
    found, stopped, slo = results.interval, results.stopped, results.plan.slo
    on = f" on {_cores(results.cores)}" if results.cores else ""
    times = f"in {stopped[Stopped.GENERATOR]} of {found.repetitions} searches"
    if not found.high and Stopped.GENERATOR in stopped:
        return f"Nothing is known of the service: the generator was the bottleneck {times}."
    if not found.high:
        lowest = min(results.by_rate(), default=0.0)
        return f"{slo} does not hold at any rate: not at {lowest:,.0f} requests a second either."
    if results.at_least:
        why = (
            f"the generator was the bottleneck {times}. More --generators need more cores"
            if Stopped.GENERATOR in stopped
            else "it held at the highest rate that was to be tried (--most)"
        )
        return f"At least {found.low:,.0f} requests a second{on} with {slo}: {why}."
    return (
        f"Capacity: {found.median:,.0f} requests a second{on} with {slo} "
        f"({found.low:,.0f} to {found.high:,.0f} with {found.confidence:.1%} confidence, "
        f"of {found.repetitions} searches)."
    )


def _notes(results: Results) -> list[str]:
    recorder = []
    if results.not_counted:
        recorder.append(
            f"Probes that do not count, as the generator was the bottleneck: {results.not_counted}."
        )
    if results.left_out:
        recorder.append(f"Pictures left out, as they are misread at rest too: {results.left_out}.")
    if results.rates and not results.replicas:
        recorder.append("Replicas cannot be counted: no rate is known that one carries.")
    if results.interval.confidence < 0.95 and results.interval.high:
        recorder.append(
            f"With {results.interval.repetitions} searches the interval has "
            f"{results.interval.confidence:.1%} confidence; 6 are the fewest for 95 %."
        )
    return recorder


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def tables(results: Results) -> list[list[Line]]:
    """Those that have lines."""
    found = [_at_capacity(results.best), _searches(results), _replicas(results), _rates(results)]
    return [lines for lines in found if len(lines) > 1]


def _at_capacity(best: list[Probe]) -> list[Line]:
    def times(of: Callable[[Probe], float]) -> str:
        return shown_seconds(median(map(of, best)) or 0.0)

    if not best:
        return []
    return [
        ("at the highest rate that held", "median of the searches"),
        ("p50", times(lambda probe: probe.p50)),
        ("p99", times(lambda probe: probe.p99)),
        ("p99.9", times(lambda probe: probe.p999)),
        ("errors", shown_fraction(median(probe.errors for probe in best) or 0.0)),
        ("server", _share(median(probe.server.cpu for probe in best))),
        ("others on its cores, at most", _share(_worst(best))),
        ("generator", _share(median(probe.generator_cpu for probe in best))),
        ("pictures a call", _number(median(probe.server.batch for probe in best))),
    ]


def _searches(results: Results) -> list[Line]:
    words = {
        Stopped.SERVICE: "the service",
        Stopped.GENERATOR: "the generator",
        Stopped.MOST: "--most",
        Stopped.NEVER: "the service, at every rate",
    }
    return [
        ("search", "req/s", "stopped by", "probes"),
        *(
            (str(number), f"{found.rate:,.0f}", words[found.stopped], str(len(found.probes)))
            for number, found in enumerate(results.searches, 1)
        ),
    ]


def _replicas(results: Results) -> list[Line]:
    most = "at most, " if results.at_least else ""
    return [
        ("for, req/s", f"{most}replicas", "of them spare", "cores", "used", "and"),
        *(
            (
                f"{each.rate:,.0f}",
                str(each.count),
                str(each.spare),
                "not seen" if each.cores is None else str(each.cores),
                f"{each.used:.0%}",
                each.summary,
            )
            for each in results.replicas
        ),
    ]


def _rates(results: Results) -> list[Line]:
    head = (
        "offered, req/s", "held", "p50", "p99", "p99.9", "errors", "server", "pictures a call",
        "generator",
    )  # fmt: skip
    return [head, *(_rate(results, *each) for each in results.by_rate().items())]


def _rate(results: Results, rate: float, probes: list[Probe]) -> Line:
    held = sum(probe.holds(results.plan.slo) for probe in probes)
    return (
        f"{rate:,.0f}",
        f"{held} of {len(probes)}",
        shown_seconds(median(probe.p50 for probe in probes) or 0.0),
        shown_seconds(median(probe.p99 for probe in probes) or 0.0),
        shown_seconds(median(probe.p999 for probe in probes) or 0.0),
        shown_fraction(median(probe.errors for probe in probes) or 0.0),
        _share(median(probe.server.cpu for probe in probes)),
        _number(median(probe.server.batch for probe in probes)),
        _share(median(probe.generator_cpu for probe in probes)),
    )


def _worst(best: list[Probe]) -> float | None:
    return max((x for probe in best if (x := probe.server.others) is not None), default=None)


def _share(value: float | None) -> str:
    return "not seen" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "not exported" if value is None else f"{value:.1f}"

"""The results as one text: for the terminal, and with their conditions for docs/benchmarks/."""

import re
from collections.abc import Callable
from pathlib import Path

from loadtest.capacity.probe import Probe
from loadtest.capacity.results import Replicas, Results, median
from loadtest.capacity.search import Found, Stopped
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions
from loadtest.host.processes import ROOT
from loadtest.report import document
from loadtest.report.document import Columns, Line
from loadtest.report.slo import Slo, shown_fraction, shown_seconds

FOLDER = ROOT / "docs/benchmarks"
TRADE_MARKS = re.compile(r"\((r|tm)\)|cpu|processor|@.*", re.IGNORECASE)

# In deploy/prometheus/recording.yml, with the requests a second that one replica answers.
RULE = re.compile(r"(?<=- record: digitserve:capacity:requests_per_second\n        expr: )\d+")

HOW = """\
An open loop offers a rate for some seconds: Poisson arrivals, each at a time drawn beforehand, sent
then whether or not the server has answered those before. Latency is counted from that time, so a
stall counts for all requests that are due during it. The rate is doubled until the promise is
broken, then bisected; that is repeated with a server started anew and both ends verified anew.

* capacity: the median of the highest rates of the searches. The interval is that of order
  statistics: each search is as likely above the true median as below it, so of 6 all lie on the
  same side with 2 / 2^6 = 3.1 %, and between the lowest and the highest it lies with 96.9 %.
  That takes searches for independent, and all but the first begin near what was found before and
  lean towards it: the interval is rather too narrow. It covers what varies from search to search
  here, not another machine or other images.
* errors: any status but 200, another digit than the image shows, a broken connection, no answer.
* p50, p99, p99.9: of requests answered with 200 and of those that got no answer, which never end.
* server, generator: share of their cores, warm-up included. images a call: the mean of a probe.
* A probe does not count if its generator took more than 90 % of its core, or got to 1 % of the
  requests later than a tenth of the promised p99: then it is the generator that was measured.
"""


def plain(results: Results) -> str:
    texts = map(document.as_text, tables(results))
    return document.paragraphs(verdict(results), *texts, *_notes(results))


def capacity_in(rules: Path) -> int:
    """The capacity of a replica that a file of recording rules has. Raises CannotMeasure."""
    try:
        found = RULE.search(rules.read_text())
    except (OSError, UnicodeError) as error:
        raise CannotMeasure(f"--rules {rules}: {error}") from error
    if found is None:
        raise CannotMeasure(
            f"--rules {rules}: it has no rule digitserve:capacity:requests_per_second that begins "
            "with a number, as deploy/prometheus/recording.yml has"
        )
    return int(found[0])


def write_capacity(rules: Path, results: Results) -> None:
    """Replace it by the lower end of what was measured: the alerts may not rely on more."""
    rules.write_text(RULE.sub(f"{results.interval.low:.0f}", rules.read_text()))


def markdown(results: Results) -> str:
    plan, margin = results.plan, results.margin
    more = {
        "promise": str(plan.slo),
        "searches": f"{len(results.searches)}, with probes of {plan.seconds:g} s after "
        f"{plan.warm_up:g} s of warm-up",
        "connections": f"at most {plan.connections} of each generator",
    }
    if not plan.placement.server:
        more["settings passed on"] = "none: the server was running"
    counted = (
        f"Replicas are counted from the lower end of the interval, with {margin.headroom:.0%} of "
        f"it left as headroom, and {margin.spare} spare. The balancer before them is computed from "
        f"{margin.balancer_cpu * 1e6:.0f} us of its CPU time a request, with the same headroom."
    )
    return document.paragraphs(
        "# Capacity, measured",
        "Written by `make capacity`; the next one on such a machine replaces it.",
        f"**{verdict(results)}**",
        document.conditions(results.conditions, more, ours="DIGITSERVE_THREADS=1"),
        HOW.strip(),
        *map(document.as_markdown, tables(results)),
        *_notes(results),
        counted if results.replicas else "",
    )


def path_for(conditions: Conditions) -> Path:
    """docs/benchmarks/capacity-<machine>.md"""
    processor = TRADE_MARKS.sub(" ", conditions.processor)
    cores = "1 core" if conditions.cores == 1 else f"{conditions.cores} cores"
    words = re.findall(r"[a-z0-9]+", f"{processor} {cores}".lower())
    return FOLDER / f"capacity-{'-'.join(words)}.md"


def verdict(results: Results) -> str:
    """The verdict in one sentence or two."""
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
    interval, notes = results.interval, []
    if results.not_counted:
        notes.append(
            f"Probes that do not count, as the generator was the bottleneck: {results.not_counted}."
        )
    if results.left_out:
        notes.append(f"Images left out, as they are misread without load: {results.left_out}.")
    if results.rates and not results.replicas:
        notes.append("Replicas cannot be counted: no rate is known that one carries.")
    if interval.confidence < 0.95 and interval.high:
        notes.append(
            f"With {interval.repetitions} searches the interval has {interval.confidence:.1%} "
            "confidence; 6 are the fewest for 95 %."
        )
    return notes


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def tables(results: Results) -> list[list[Line]]:
    """The tables that have lines."""
    most = "at most, " if results.at_least else ""
    replicas: Columns[Replicas] = {
        "for, req/s": lambda each: f"{each.rate:,.0f}",
        f"{most}replicas": lambda each: str(each.count),
        "of them spare": lambda each: str(each.spare),
        "cores": lambda each: "unknown" if each.cores is None else str(each.cores),
        "cores of the balancer": lambda each: str(each.balancer_cores),
        "used": lambda each: f"{each.used:.0%}",
        "and": lambda each: each.summary,
    }
    found = [
        _at_capacity(results.best),
        document.table(enumerate(results.searches, 1), SEARCHES),
        document.table(results.replicas, replicas),
        document.table(results.by_rate().values(), _rates(results.plan.slo)),
    ]
    return [lines for lines in found if len(lines) > 1]


def _at_capacity(best: list[Probe]) -> list[Line]:
    if not best:
        return []
    others = [each.server.others for each in best if each.server.others is not None]
    return [
        ("at the highest rate that held", "median of the searches"),
        *((name, cell(best)) for name, cell in MEDIANS.items()),
        ("others on the server's cores, at most", _share(max(others, default=None))),
    ]


STOPPED = {
    Stopped.SERVICE: "the service",
    Stopped.GENERATOR: "the generator",
    Stopped.MOST: "--most",
    Stopped.NEVER: "the service, at every rate",
}
SEARCHES: Columns[tuple[int, Found[Probe]]] = {
    "search": lambda each: str(each[0]),
    "req/s": lambda each: f"{each[1].rate:,.0f}",
    "stopped by": lambda each: STOPPED[each[1].stopped],
    "probes": lambda each: str(len(each[1].probes)),
}


MEDIANS: Columns[list[Probe]] = {
    "p50": lambda probes: _seconds(probes, lambda each: each.p50),
    "p99": lambda probes: _seconds(probes, lambda each: each.p99),
    "p99.9": lambda probes: _seconds(probes, lambda each: each.p999),
    "errors": lambda probes: shown_fraction(median(each.errors for each in probes) or 0.0),
    "server": lambda probes: _share(median(each.server.cpu for each in probes)),
    "images a call": lambda probes: _batch(median(each.server.batch for each in probes)),
    "generator": lambda probes: _share(median(each.generator_cpu for each in probes)),
}


def _rates(slo: Slo) -> Columns[list[Probe]]:
    """The columns of a table with a row for all probes at the same rate."""
    return {
        "offered, req/s": lambda probes: f"{probes[0].rate:,.0f}",
        "held": lambda probes: f"{sum(each.holds(slo) for each in probes)} of {len(probes)}",
        **MEDIANS,
    }


def _seconds(probes: list[Probe], value: Callable[[Probe], float]) -> str:
    return shown_seconds(median(map(value, probes)) or 0.0)


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"


def _batch(value: float | None) -> str:
    return "not exported" if value is None else f"{value:.1f}"

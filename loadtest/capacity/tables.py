"""The results in tables, each a head and its lines."""

from collections.abc import Callable

from loadtest.capacity.probe import Probe
from loadtest.capacity.results import Results, median
from loadtest.capacity.search import Stopped
from loadtest.report import Line
from loadtest.slo import shown_fraction, shown_seconds


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
                each.told,
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
    return "not told" if value is None else f"{value:.1f}"

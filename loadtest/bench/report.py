"""The bench's results as text: for the terminal, and with their conditions for docs/benchmarks/."""

from collections.abc import Callable, Iterable

from loadtest.bench.limits import BATCH
from loadtest.bench.measure import BATCHES, DRAWINGS, IMAGES, Measured, Visit
from loadtest.bench.overload import Overload
from loadtest.bench.results import Results, Round, Row, Spread, rate_over, ratios, rows
from loadtest.bench.scrape import Scrapes
from loadtest.report import document
from loadtest.report.document import Columns, Line
from loadtest.target.targets import MANY

HOW = """\
Each target is started anew every round and measured in turn with the others, on one core, its
client on another. Numbers of a row are medians over the rounds; a comparison is made within each
round, and its median, lowest and highest are given.

* CPU: user and system time of the server and its children, an answer. The limit's is that of an
  echo on uvloop, one PNG decoded by OpenCV and one image of a network call of 64.
* 280x280: drawings of digits, which the service prepares; the peers do by the same function.
* 2 workers: on both cores of which the client has one, so they are compared with nothing else.
* worker: RSS of the largest process before the load. idle, after: PSS of all of them, before the
  first load and after the last.
* p99: wrk counts a slow answer as often as others would have fitted into it, so under a full load
  it is rather too high than too low.
* right: images that it reads as they are labelled, sent one by one before the load.
* client: how much of its own core it took. Near 100 %, it is the client that was measured.
* others: how much of the server's core other programs took, in the worst round. If it is much more
  than nothing, the round was disturbed.
"""


def plain(results: Results) -> str:
    tables = map(document.as_text, _tables(results))
    return document.paragraphs(*tables, *results.remarks, *_missing(results))


def markdown(results: Results) -> str:
    details = {"rounds": str(len(results.rounds))}
    if results.peers:
        details["peers"] = ", ".join(f"{name} {number}" for name, number in results.peers.items())
    return document.paragraphs(
        "# Serving, measured",
        "Written by `make bench` and `make bench-peers`; the next run replaces it.",
        document.conditions(results.conditions, details, ours="DIGITSERVE_THREADS=1"),
        HOW.strip(),
        *results.remarks,
        *map(document.as_markdown, _tables(results)),
        *_missing(results),
    )


def _missing(results: Results) -> list[str]:
    return [f"Not measured: {sentence}" for sentence in results.skipped]


def _tables(results: Results) -> list[list[Line]]:
    tables = [
        glance(results.rounds, results.peers) if results.peers else [],
        limits(results.rounds),
        loads(results.rounds),
        compared(results.rounds, results.peers),
        document.table(results.scrapes, SCRAPES),
        overload(results.overload) if results.overload else [],
    ]
    return [lines for lines in tables if len(lines) > 1]


def glance(rounds: list[Round], peers: dict[str, str]) -> list[Line]:
    """The service and its peers in a few numbers; `peers`: their versions."""
    names = {"service": "service"} | {name: f"{name} {peers[name]}" for name in peers}

    def over(row: Row) -> str:
        spread = rate_over(rounds, row.target)
        return between(spread, 1, 2) if spread and row.target != "service" else ""

    columns: Columns[Row] = {
        f"at a glance: {MANY} connections": lambda row: names[row.target],
        "req/s": _load(",.0f", lambda each: each.load.rate),
        "p50 ms": _load(".1f", lambda each: each.load.p50 * 1e3),
        "p99 ms": _load(".1f", lambda each: each.load.p99 * 1e3),
        "CPU us/req": _load(",.0f", lambda each: each.cpu * 1e6),
        "right": _right,
        "service's req/s over it": over,
    }
    many = [row for row in rows(rounds) if (row.posted, row.connections) == (IMAGES, MANY)]
    return document.table((row for row in many if row.target in names), columns)


def limits(rounds: list[Round]) -> list[Line]:
    """The CPU time an image of the work that no server can avoid."""
    found = [each.limits for each in rounds if each.limits]
    costs = {
        "decode a PNG": [each.decode for each in found],
        f"network, {BATCH} a call": [each.network for each in found],
        "network, 1 a call": [each.network_alone for each in found],
    }
    lines = [(name, between(Spread.of(costs[name]), 1e6, 2)) for name in costs if found]
    return [("limit", "CPU us an image"), *lines]


def loads(rounds: list[Round]) -> list[Line]:
    return document.table(rows(rounds), LOADS)


def compared(rounds: list[Round], peers: Iterable[str]) -> list[Line]:
    lines = [(name, between(spread, 1, 2)) for name, spread in ratios(rounds, peers).items()]
    return [("comparison, within a round", "median (lowest to highest)"), *lines]


def between(spread: Spread, factor: float, digits: int) -> str:
    median, lowest, highest = (
        f"{value * factor:,.{digits}f}" for value in (spread.median, spread.lowest, spread.highest)
    )
    return f"{median} ({lowest} to {highest})"


def _load(form: str, value: Callable[[Measured], float]) -> Callable[[Row], str]:
    """A cell with the median of a value of each load."""
    return lambda row: format(row.of_load(value).median, form)


def _visit(form: str, value: Callable[[Visit], float]) -> Callable[[Row], str]:
    """A cell with the median of a value of each visit."""
    return lambda row: format(row.of_visit(value).median, form)


def _right(row: Row) -> str:
    return "" if row.right is None else f"{row.right} of {row.images}"


def _what(row: Row) -> str:
    posted = {IMAGES: "", DRAWINGS: ", 280x280", BATCHES: f", {BATCH} images a request"}
    return f"{row.target}{posted[row.posted]}"


def _workers(found: Scrapes) -> str:
    return f"{found.workers} workers, p50 and p99" if found.workers > 1 else "1 worker, p50 and p99"


def _times(p50: float, p99: float) -> str:
    return f"{p50 * 1e3:.2f}, {p99 * 1e3:.2f}"


LOADS: Columns[Row] = {
    "what": _what,
    "connections": lambda row: str(row.connections),
    "req/s": _load(",.0f", lambda each: each.load.rate),
    "p50 ms": _load(".3f", lambda each: each.load.p50 * 1e3),
    "p99 ms": _load(".3f", lambda each: each.load.p99 * 1e3),
    "CPU us/req": _load(".1f", lambda each: each.cpu * 1e6),
    "worker MB": _visit(".1f", lambda each: each.idle.largest / 2**20),
    "idle MB": _visit(".1f", lambda each: each.idle.proportional / 2**20),
    "after MB": _visit(".1f", lambda each: each.after.proportional / 2**20),
    "refused": lambda row: str(row.refused),
    "broken": lambda row: str(row.broken),
    "right": _right,
    "client": lambda row: f"{row.client:.0%}",
    "others": lambda row: f"{row.of_load(lambda each: each.others).highest:.0%}",
}
SCRAPES: Columns[Scrapes] = {
    f"GET /metrics and {MANY} connections": _workers,
    "lines": lambda found: str(found.lines),
    "alone, ms": lambda found: _times(*found.quantiles[:2]),
    "busy, ms": lambda found: _times(*found.quantiles[2:]),
    "req/s without, with": lambda found: f"{found.without.rate:,.0f}, {found.load.rate:,.0f}",
    "p50 without, with, ms": lambda found: _times(found.without.p50, found.load.p50),
    "p99 without, with, ms": lambda found: _times(found.without.p99, found.load.p99),
    "slowest without, with, ms": lambda found: _times(found.without.slowest, found.load.slowest),
}


def overload(found: Overload) -> list[Line]:
    statuses = ", ".join(
        f"{number} x {status or 'none'}" for status, number in found.statuses.items()
    )
    normal = found.normal_after
    return [
        (f"overload: {found.connections} connections, {found.queue} may wait", ""),
        ("answers a second, none refused", f"{found.most:,.0f}"),
        ("answers a second of status 200", f"{found.good:,.0f} ({found.kept:.0%} of that)"),
        ("refusals a second", f"{found.refused:,.0f}"),
        ("connections that broke", str(found.broken)),
        ("statuses that the sampler got", statuses),
        *(("no answer", reason) for reason in found.lost),
        ("refusals without Retry-After", str(found.without_retry_after)),
        ("a refusal, p50 and p99, ms", _times(found.refusal_p50, found.refusal_p99)),
        ("status 200, p50 and p99, ms", _times(found.good_p50, found.good_p99)),
        (
            "RSS before, most during, after, MB",
            f"{found.before.resident / 2**20:.1f}, {found.during / 2**20:.1f}, "
            f"{found.after.resident / 2**20:.1f}",
        ),
        (
            "normal again after the load, ms",
            "not while it was watched" if normal is None else f"{normal * 1e3:.1f}",
        ),
    ]

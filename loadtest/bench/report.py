"""The bench's results as text: for the terminal, and with their conditions for docs/benchmarks/."""

from collections.abc import Iterable

from loadtest.bench.limits import BATCH
from loadtest.bench.measure import PICTURES
from loadtest.bench.overload import Overload
from loadtest.bench.results import Results, Round, Row, Spread, rate_over, ratios, rows
from loadtest.bench.scrape import Scrapes
from loadtest.report.document import Line, as_markdown, as_text, conditions
from loadtest.target.targets import MANY

HEAD = (
    "what", "connections", "req/s", "p50 ms", "p99 ms", "CPU us/req", "worker MB", "idle MB",
    "after MB", "refused", "broken", "right", "client", "others",
)  # fmt: skip
GLANCE = (
    f"at a glance: {MANY} connections", "req/s", "p50 ms", "p99 ms", "CPU us/req", "right",
    "service's req/s over it",
)  # fmt: skip

HOW = """\
Each target is started anew every round and measured in turn with the others, on one core, its
client on another. Numbers of a row are medians over the rounds; a comparison is made within each
round, and its median, lowest and highest are given.

* CPU: user and system time of the server and its children, an answer. The limit's is the echo
  app's, one PNG decoded and one picture of a network call of 64.
* worker: RSS of the largest process before the load. idle, after: PSS of all of them, before the
  first load and after the last.
* p99: wrk counts a slow answer as often as others would have fitted into it, so under a full load
  it is rather too high than too low.
* right: pictures that it reads as they are labelled, sent one by one before the load.
* client: how much of its own core it took. Near 100 %, it is the client that was measured.
* others: how much of the server's core somebody else took, in the worst round. Much more than
  nothing, and the round was disturbed.
"""


def plain(results: Results) -> str:
    return "\n\n".join([*map(as_text, _tables(results)), *results.remarks, *_missing(results)])


def markdown(results: Results) -> str:
    parts = [
        "# Serving, measured",
        "Written by `make bench` and `make bench-peers`; the next one replaces it.",
        conditions(
            results.conditions,
            {"rounds": str(len(results.rounds))} | _peers(results),
            ours="DIGITSERVE_THREADS=1",
        ),
        HOW.strip(),
        *results.remarks,
        *map(as_markdown, _tables(results)),
        *_missing(results),
    ]
    return "\n\n".join(parts) + "\n"


def _missing(results: Results) -> list[str]:
    return [f"Not measured: {sentence}" for sentence in results.skipped]


def _peers(results: Results) -> dict[str, str]:
    versions = [f"{name} {version}" for name, version in results.peers.items()]
    return {"peers": ", ".join(versions)} if versions else {}


def _tables(results: Results) -> list[list[Line]]:
    tables = [
        glance(results.rounds, results.peers) if results.peers else [],
        limits(results.rounds),
        table(results.rounds),
        compared(results.rounds, results.peers),
        scrapes(results.scrapes),
        overload(results.overload) if results.overload else [],
    ]
    return [lines for lines in tables if len(lines) > 1]


def glance(rounds: list[Round], peers: dict[str, str]) -> list[Line]:
    """The service and its peers in few words; `peers`: their versions."""
    names = {"service": "service"} | {name: f"{name} {peers[name]}" for name in peers}
    return [
        GLANCE,
        *(
            _glance_line(row, names[row.target], rate_over(rounds, row.target))
            for row in rows(rounds)
            if row.target in names and (row.posted, row.connections) == (PICTURES, MANY)
        ),
    ]


def _glance_line(row: Row, name: str, over: Spread | None) -> Line:
    return (
        name,
        f"{row.rate.median:,.0f}",
        f"{row.p50.median * 1e3:.1f}",
        f"{row.p99.median * 1e3:.1f}",
        f"{row.cpu.median * 1e6:,.0f}",
        _right(row),
        between(over, 1, 2) if over and row.target != "service" else "",
    )


def table(rounds: list[Round]) -> list[Line]:
    return [HEAD, *map(_line, rows(rounds))]


def limits(rounds: list[Round]) -> list[Line]:
    """CPU us a picture of what cannot be saved."""
    found = [each.limits for each in rounds if each.limits]
    if not found:
        return []
    costs = {
        "decode a PNG": [each.decode for each in found],
        f"network, {BATCH} a call": [each.network for each in found],
        "network, 1 a call": [each.network_alone for each in found],
    }
    spreads = ((name, Spread.of(values)) for name, values in costs.items())
    return [
        ("limit", "CPU us a picture"),
        *((name, between(spread, 1e6, 2)) for name, spread in spreads if spread),
    ]


def compared(rounds: list[Round], peers: Iterable[str]) -> list[Line]:
    lines = [(name, between(spread, 1, 2)) for name, spread in ratios(rounds, peers).items()]
    return [("comparison, within a round", "median (lowest to highest)"), *lines] if lines else []


def between(spread: Spread, factor: float, digits: int) -> str:
    median, lowest, highest = (
        f"{value * factor:,.{digits}f}" for value in (spread.median, spread.lowest, spread.highest)
    )
    return f"{median} ({lowest} to {highest})"


def _line(row: Row) -> Line:
    return (
        row.target if row.posted == PICTURES else f"{row.target}, {BATCH} pictures a request",
        str(row.connections),
        f"{row.rate.median:,.0f}",
        f"{row.p50.median * 1e3:.3f}",
        f"{row.p99.median * 1e3:.3f}",
        f"{row.cpu.median * 1e6:.1f}",
        f"{row.worker.median / 2**20:.1f}",
        f"{row.idle.median / 2**20:.1f}",
        f"{row.after.median / 2**20:.1f}",
        str(row.refused),
        str(row.broken),
        _right(row),
        f"{row.client.median:.0%}",
        f"{row.others.highest:.0%}",
    )


def _right(row: Row) -> str:
    return "" if row.right is None else f"{row.right} of {row.pictures}"


def scrapes(found: list[Scrapes]) -> list[Line]:
    head = (
        f"GET /metrics and {MANY} connections", "lines", "alone, ms", "busy, ms",
        "req/s without, with", "p50 without, with, ms", "p99 without, with, ms",
        "slowest without, with, ms",
    )  # fmt: skip
    return [head, *map(_scrapes_line, found)]


def _scrapes_line(found: Scrapes) -> Line:
    without, busied = found.without, found.load
    alone_50, alone_99, busy_50, busy_99 = found.quantiles
    return (
        f"{found.workers} workers, p50 and p99" if found.workers > 1 else "1 worker, p50 and p99",
        str(found.lines),
        _times(alone_50, alone_99),
        _times(busy_50, busy_99),
        f"{without.rate:,.0f}, {busied.rate:,.0f}",
        _times(without.p50, busied.p50),
        _times(without.p99, busied.p99),
        _times(without.slowest, busied.slowest),
    )


def overload(found: Overload) -> list[Line]:
    statuses = ", ".join(
        f"{number} x {status or 'none'}" for status, number in found.statuses.items()
    )
    normal = found.normal_after
    return [
        (f"overload: {found.connections} connections, {found.queue} may wait", ""),
        ("answers a second, refusing nobody", f"{found.most:,.0f}"),
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


def _times(p50: float, p99: float) -> str:
    return f"{p50 * 1e3:.2f}, {p99 * 1e3:.2f}"

"""The results as one text: for the terminal, and with their conditions for docs/benchmarks/."""

from loadtest import report
from loadtest.machine import Conditions
from loadtest.results import Results

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
* right: pictures that it reads as they are labelled, asked one by one before the load.
* client: how much of its own core it took. Near 100 %, it is the client that was measured.
* others: how much of the server's core somebody else took, in the worst round. Much more than
  nothing, and the round was disturbed.
"""


def plain(results: Results) -> str:
    return "\n\n".join([*map(report.plain, _tables(results)), *results.remarks, *_missing(results)])


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
        *map(report.markdown, _tables(results)),
        *_missing(results),
    ]
    return "\n\n".join(parts) + "\n"


def _missing(results: Results) -> list[str]:
    return [f"Not measured: {sentence}" for sentence in results.skipped]


def _peers(results: Results) -> dict[str, str]:
    versions = [f"{name} {version}" for name, version in results.peers.items()]
    return {"peers": ", ".join(versions)} if versions else {}


def _tables(results: Results) -> list[list[report.Line]]:
    tables = [
        report.glance(results.rounds, results.peers) if results.peers else [],
        report.limits(results.rounds),
        report.table(results.rounds),
        report.compared(results.rounds, results.peers),
        report.scrapes(results.scrapes),
        report.overload(results.overload) if results.overload else [],
    ]
    return [lines for lines in tables if len(lines) > 1]


def conditions(told: Conditions, more: dict[str, str], *, ours: str) -> str:
    """`ours`: the settings that are the bench's own, unless they were handed on."""
    packages = ", ".join(f"{name} {version}" for name, version in told.packages.items())
    settings = ", ".join(f"{name}={value}" for name, value in told.settings.items())
    lines = {
        "when": f"{told.date} UTC, commit {told.commit}",
        "command": f"`{told.command}`",
        "processor": f"{told.processor}, {told.cores} cores; governor: {told.governor}; "
        f"load before: {told.load:.2f}",
        "pinned": told.pinned,
        "client": told.client,
        "software": f"Linux {told.kernel}, Python {told.python}, {packages}",
        "model": told.model,
        "settings handed on": settings or f"none; {ours} is the bench's",
    } | more
    return "\n".join(f"* {name}: {value}" for name, value in lines.items())

"""What the bench on a GPU found: tables for the terminal, Markdown with conditions, JSON."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from loadtest.bench_gpu.measure import PRECISIONS, Crew, Engine, GpuUse, Row, description
from loadtest.host.machine import Conditions
from loadtest.report import document
from loadtest.report.document import Columns, Line

HOW = """\
The engine is called without a pause, without HTTP, every precision and way in turns, medians over
the rounds, copies included. The service is started anew for each number of workers and loaded over
all cores; nothing is pinned.

* pictures/s: of requests that were answered with 200.
* service, client: cores that they took. Where the two together are all there are, or the client's
  are as many as it has threads, it is the machine's cores that were measured and not the GPU.
* busy: share of the time in which any kernel ran on the GPU, as the service exports it, however
  little of the GPU that kernel filled: 100 % less this is left at least.
* used, left: memory of the GPU, of every program, at the most.
* p99: wrk counts a slow answer as often as others would have fitted into it, so under a full load
  it is rather too high than too low.
"""
OURS = "a DIGITSERVE_MAX_QUEUE for all connections"
ABSENT = "the service exports no digitserve_gpu_* metrics"
MIB = 2**20


class Loaded(NamedTuple):
    """A row of the service's table."""

    crew: Crew
    row: Row

    @property
    def gpu(self) -> GpuUse:
        return self.row.gpu or GpuUse(None, None, None)


@dataclass(frozen=True)
class GpuResults:
    conditions: Conditions
    provider: str
    engine: Engine
    crews: list[Crew]
    refusals: list[str]  # numbers of workers that could not be measured, and why

    @property
    def notes(self) -> list[str]:
        """Why something is not in the tables, each reason once."""
        absent = any(not row.gpu for crew in self.crews for row in crew.rows)
        left = [f"how much of the GPU is left: {ABSENT}"] if absent else []
        skipped = {reason for crew in self.crews for reason in crew.skipped}
        return [*self.engine.left_out, *sorted(skipped), *left, *self.refusals]

    def json(self) -> str:
        found = asdict(self) | {"notes": self.notes}
        for crew, written in zip(self.crews, found["crews"], strict=True):
            for row, fields in zip(crew.rows, written["rows"], strict=True):
                fields["pictures_per_second"] = row.rate
        return document.as_json(found)

    def plain(self) -> str:
        return document.paragraphs(*map(document.as_text, self._tables()), *self._not_measured())

    def markdown(self) -> str:
        title = "On a GPU" if self.provider != "cpu" else "The GPU's bench on a CPU"
        runs = sorted({str(crew.runs) for crew in self.crews})
        details = {"GPU": name} if (name := description()) else {}
        details["service runs"] = "; ".join(runs) or "nothing"
        return document.paragraphs(
            f"# {title}, measured",
            "Written by `make bench-gpu`; the next run replaces it.",
            document.conditions(self.conditions, details, ours=OURS),
            HOW.strip(),
            *map(document.as_markdown, self._tables()),
            *self._not_measured(),
        )

    def _not_measured(self) -> list[str]:
        return [f"Not measured: {note}" for note in self.notes]

    def _tables(self) -> list[list[Line]]:
        engine = sorted(self.engine.results, key=lambda row: PRECISIONS.index(row["precision"]))
        service = [Loaded(crew, row) for crew in self.crews for row in crew.rows]
        left = document.table(self.engine.gpu, LEFT)
        tables = [document.table(engine, ENGINE), left, document.table(service, SERVICE)]
        return [lines for lines in tables if len(lines) > 1]


ENGINE: Columns[dict[str, Any]] = {
    "engine": lambda row: row["precision"],
    "way": lambda row: row["way"],
    "a call": lambda row: str(row["pictures"]),
    "pictures/s": lambda row: f"{row['pictures_per_second']:,.0f}",
    "p50 us": lambda row: f"{row['p50_seconds'] * 1e6:,.0f}",
    "p99 us": lambda row: f"{row['p99_seconds'] * 1e6:,.0f}",
}
LEFT: Columns[dict[str, Any]] = {
    "engine, largest batch": lambda row: row["precision"],
    "way": lambda row: row["way"],
    "GPU busy": lambda row: _busy(row["busy"]),
    "used MiB": lambda row: _mib(row["memory_used"]),
    "left MiB": lambda row: _left(row["memory_used"], row["memory_total"]),
}
SERVICE: Columns[Loaded] = {
    "workers": lambda each: str(each.crew.workers),
    "a request": lambda each: "1 PNG" if each.row.pictures == 1 else f"{each.row.pictures}, binary",
    "connections": lambda each: str(each.row.load.connections),
    "pictures/s": lambda each: f"{each.row.rate:,.0f}",
    "p50 ms": lambda each: f"{each.row.load.p50 * 1e3:.2f}",
    "p99 ms": lambda each: f"{each.row.load.p99 * 1e3:.2f}",
    "service": lambda each: f"{each.row.cores:.1f}",
    "client": lambda each: (
        f"{each.row.load.client_cpu / each.row.load.seconds:.1f} of {each.crew.clients}"
    ),
    "GPU busy": lambda each: _busy(each.gpu.busy),
    "used MiB": lambda each: _mib(each.gpu.memory_used),
    "left MiB": lambda each: _left(each.gpu.memory_used, each.gpu.memory_total),
    "memory MB": lambda each: f"{each.crew.memory / MIB:,.0f}",
    "refused": lambda each: str(each.row.load.refused),
    "broken": lambda each: str(each.row.load.broken),
}


def _busy(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _mib(size: int | None) -> str:
    return "-" if size is None else f"{size / MIB:,.0f}"


def _left(used: int | None, total: int | None) -> str:
    return _mib(None if used is None or total is None else total - used)

"""What the bench on a GPU found: tables for the terminal, Markdown with conditions, JSON."""

import json
from dataclasses import asdict, dataclass

from loadtest.bench_gpu.engine import PRECISIONS, Engine
from loadtest.bench_gpu.measure import Crew, Row
from loadtest.host.gpu import ABSENT, MIB, description
from loadtest.host.machine import Conditions
from loadtest.report.document import Line, as_markdown, as_text, conditions

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
OURS = "a DIGITSERVE_MAX_QUEUE that holds all that ask"
ENGINE = ("engine", "way", "a call", "pictures/s", "p50 us", "p99 us")
LEFT = ("engine, largest batch", "way", "GPU busy", "used MiB", "left MiB")
SERVICE = (
    "workers", "a request", "connections", "pictures/s", "p50 ms", "p99 ms", "service", "client",
    "GPU busy", "used MiB", "left MiB", "memory MB", "refused", "broken",
)  # fmt: skip


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
        rows = [row for crew in self.crews for row in crew.rows]
        left = (
            [f"how much of the GPU is left: {ABSENT}"] if any(not row.gpu for row in rows) else []
        )
        skipped = {reason for crew in self.crews for reason in crew.skipped}
        return [*self.engine.left_out, *sorted(skipped), *left, *self.refusals]

    def json(self) -> str:
        document = asdict(self) | {"notes": self.notes}
        for crew, written in zip(self.crews, document["crews"], strict=True):
            for row, fields in zip(crew.rows, written["rows"], strict=True):
                fields["pictures_per_second"] = row.rate
        return json.dumps(document, indent=2) + "\n"

    def plain(self) -> str:
        return "\n\n".join([*map(as_text, self._tables()), *self._not_measured()])

    def markdown(self) -> str:
        what = (
            "On a GPU, measured" if self.provider != "cpu" else "The GPU's bench on a CPU, measured"
        )
        parts = [f"# {what}", "Written by `make bench-gpu`; the next one replaces it."]
        parts += [conditions(self.conditions, self._more(), ours=OURS), HOW.strip()]
        parts += map(as_markdown, self._tables())
        return "\n\n".join([*parts, *self._not_measured()]) + "\n"

    def _not_measured(self) -> list[str]:
        return [f"Not measured: {note}" for note in self.notes]

    def _more(self) -> dict[str, str]:
        runs = sorted({str(crew.runs) for crew in self.crews})
        gpu = {"GPU": name} if (name := description()) else {}
        return gpu | {"service runs": "; ".join(runs) or "nothing"}

    def _tables(self) -> list[list[Line]]:
        tables = [self._engine(), self._left(), self._service()]
        return [lines for lines in tables if len(lines) > 1]

    def _engine(self) -> list[Line]:
        rows = sorted(self.engine.results, key=lambda row: PRECISIONS.index(row["precision"]))
        return [
            ENGINE,
            *(
                (
                    row["precision"],
                    row["way"],
                    str(row["pictures"]),
                    f"{row['pictures_per_second']:,.0f}",
                    f"{row['p50_seconds'] * 1e6:,.0f}",
                    f"{row['p99_seconds'] * 1e6:,.0f}",
                )
                for row in rows
            ),
        ]

    def _left(self) -> list[Line]:
        return [
            LEFT,
            *(
                (
                    row["precision"],
                    row["way"],
                    *_of_gpu(row["busy"], row["memory_used"], row["memory_total"]),
                )
                for row in self.engine.gpu
            ),
        ]

    def _service(self) -> list[Line]:
        return [SERVICE, *(_line(crew, row) for crew in self.crews for row in crew.rows)]


def _line(crew: Crew, row: Row) -> Line:
    load, gpu = row.load, row.gpu
    return (
        str(crew.workers),
        "1 PNG" if row.pictures == 1 else f"{row.pictures}, binary",
        str(load.connections),
        f"{row.rate:,.0f}",
        f"{load.p50 * 1e3:.2f}",
        f"{load.p99 * 1e3:.2f}",
        f"{row.cores:.1f}",
        f"{load.client_cpu / load.seconds:.1f} of {crew.clients}",
        *(
            _of_gpu(gpu.busy, gpu.memory_used, gpu.memory_total)
            if gpu
            else _of_gpu(None, None, None)
        ),
        f"{crew.memory / MIB:,.0f}",
        str(load.refused),
        str(load.broken),
    )


def _of_gpu(busy: float | None, used: int | None, total: int | None) -> Line:
    left = None if used is None or total is None else total - used
    mib = ("-" if size is None else f"{size / MIB:,.0f}" for size in (used, left))
    return ("-" if busy is None else f"{busy:.0%}", *mib)

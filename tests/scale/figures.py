"""A row for each load: what happened meanwhile, how many requests were lost, the slowest answer."""

from dataclasses import dataclass, field
from pathlib import Path

from loadtest.host.machine import Conditions
from loadtest.report import document
from loadtest.report.document import Columns
from tests.scale.load import Load

Row = tuple[str, str, Load]  # engine, what happened, the load meanwhile

COLUMNS: Columns[Row] = {
    "engine": lambda row: row[0],
    "what happened": lambda row: row[1],
    "bytes": lambda row: f"{row[2].bytes:,}",
    "requests": lambda row: f"{row[2].requests:,} at {row[2].rate:g}/s",
    "lost": lambda row: str(row[2].lost),
    "p99": lambda row: _seconds(row[2].p99),
    "slowest": lambda row: _seconds(row[2].slowest),
}


@dataclass
class Figures:
    rows: list[Row] = field(default_factory=list)

    def add(self, engine: str, happened: str, load: Load) -> None:
        self.rows.append((engine, happened, load))

    @property
    def text(self) -> str:
        return document.as_text(document.table(self.rows, COLUMNS))

    def write(self, path: Path, command: str) -> None:
        conditions = Conditions.now(
            command=command,
            pinned="nothing: hosts, balancer and client share all cores",
            client="an open loop of Python and epoll",
            model="tests/fixtures/models/digits/1",
        )
        path.write_text(
            document.paragraphs(
                "# Several hosts, measured",
                "Written by `make test-scale`; docs/how-to/scale.md explains it.",
                document.conditions(conditions, {}, ours="none"),
                "Latency is counted from when a request was due. Lost: without an answer, refused, "
                "or answered with another label than the image's.",
                document.as_markdown(document.table(self.rows, COLUMNS)),
            )
        )


def _seconds(value: float) -> str:
    return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:.1f} s"

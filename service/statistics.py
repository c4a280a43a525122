"""What the statistics extension counts: of each version, requests, pictures, runs and seconds.

    batcher --delivered, once a batch--> a row of the version's table   --+
    exchanges --failed--> its row 0                                     --+--> sums, when asked

A table has a row for each batch size, so all that is asked of a version follows from one addition a
batch. Workers keep their tables in files that all of them map, in the folder that they share; the
one that is asked adds them up, and the worker that takes a dead one's slot goes on with its file.
"""

import mmap
import time
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.readings import Readings
from service.settings import Settings
from service.waiting import Run

# Columns of a row, in the order they are written. Seconds of requests are summed over requests;
# seconds of runs over runs, whose parts each of a run's requests went through as well.
RUNS, REQUESTS, QUEUED, PREPARED, COMPUTED, TOLD = range(6)
EACH_PREPARED, EACH_COMPUTED, EACH_TOLD = range(6, 9)
COLUMNS = 9
FAILED, FAILED_SECONDS, LAST = range(3)  # of row 0, for no batch is empty
Table = NDArray[np.float64]  # (sizes, COLUMNS)
Cells: TypeAlias = "memoryview[float]"  # the same, flat


class Statistics:
    def __init__(self, settings: Settings, folder: Path | None = None, slot: int = 0) -> None:
        """`folder`: of all workers' files; None: the numbers are in memory."""
        self._rows = max(settings.max_batch, settings.max_pictures) + 1
        self._folder = folder
        self._slot = slot
        self._tables: dict[int, Cells] = {}  # by version

    def delivered(self, run: Run[Readings], told: int, waited: float) -> None:
        """A batch's answers were given to `told` requests, which had waited that long together."""
        readings = run.answers
        cells = self._table(readings.model.number)
        computed = readings.seconds
        prepared = run.seconds - computed
        written = perf_counter() - run.left - run.seconds
        cell = COLUMNS * min(len(readings), self._rows - 1)
        for amount in (
            1.0, told, waited, prepared, computed, written,
            told * prepared, told * computed, told * written,
        ):  # fmt: skip
            cells[cell] += amount
            cell += 1
        cells[LAST] = time.time()

    def failed(self, version: int, seconds: float) -> None:
        """A request failed for reasons that were not its own."""
        cells = self._table(version)
        cells[FAILED] += 1
        cells[FAILED_SECONDS] += seconds

    def versions(self) -> list[int]:
        """Those that anything is known of."""
        if self._folder is None:
            return sorted(self._tables)
        return sorted({int(path.name.split("-")[1]) for path in self._folder.glob("statistics-*")})

    def of(self, version: int) -> "Sums":
        if self._folder is None:
            known = self._tables.get(version)
            tables = [] if known is None else [np.array(known)]
        else:
            paths = self._folder.glob(f"statistics-{version}-*")
            tables = [np.fromfile(path, np.float64) for path in paths]
        empty = np.zeros(self._rows * COLUMNS)
        table = sum(tables, start=empty).reshape(-1, COLUMNS)
        last = max((each[LAST] for each in tables), default=0.0)
        return Sums(table, last)

    def _table(self, version: int) -> Cells:
        cells = self._tables.get(version)
        if cells is None:
            size = self._rows * COLUMNS * 8  # bytes
            if self._folder is None:
                cells = memoryview(bytearray(size)).cast("d")
            else:
                cells = _mapped(self._folder / f"statistics-{version}-{self._slot}", size)
            self._tables[version] = cells
        return cells


@dataclass(frozen=True)
class Sums:
    """Of one version, over all workers."""

    table: Table
    last: float  # when a batch was answered, seconds since 1970; 0: none was

    @property
    def failed(self) -> tuple[int, float]:
        """Requests, and their seconds."""
        return int(self.table[0, FAILED]), float(self.table[0, FAILED_SECONDS])

    @property
    def total(self) -> list[float]:
        """Each column, of all sizes."""
        total: list[float] = self.table[1:].sum(0).tolist()
        return total

    @property
    def pictures(self) -> int:
        return int((np.arange(len(self.table)) * self.table[:, RUNS])[1:].sum())

    @property
    def sizes(self) -> dict[int, list[float]]:
        """The row of each batch size that there was."""
        there = np.flatnonzero(self.table[1:, RUNS]) + 1
        return {int(size): self.table[size].tolist() for size in there}


def _mapped(path: Path, size: int) -> Cells:
    """The numbers of a file, made if it is not there."""
    with path.open("a+b") as file:
        file.truncate(size)
        return memoryview(mmap.mmap(file.fileno(), size)).cast("d")

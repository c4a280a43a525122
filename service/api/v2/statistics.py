"""What the statistics extension counts: of each version, requests, images, runs and seconds.

    batcher --delivered, once a batch--> a row of the version's table   --+
    exchanges --failed--> its row 0                                     --+--> sums, on request

A table has a row for each batch size, so all that is reported of a version follows from one
addition a batch. Workers keep their tables in the memory that they share; the one that responds
adds them up, and the worker that takes a dead one's slot goes on with its tables. Each process has
those of the last few versions that answered: a service that switches every hour must not grow
without end.

Responses have counts, and nanoseconds:

    success = queue + compute_input + compute_infer + compute_output, of each request
    arrival in the queue --queue--> put together --> model --> answers written

Requests to /v1 and /v2 both count. Decoding and JSON parsing are not included.
"""

import time
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from service.api.predictions import BatchPredictions
from service.batching.interface import BatchResult
from service.settings import Settings
from service.telemetry.metrics.shared_memory import (
    COLUMNS,
    VERSIONS,
    Cells,
    Segment,
    SharedMemory,
    key_of,
    private_memory,
    rows,
    tables_size,
)

# The columns of a row. Batch times are summed per batch in PARTS. In EACH they are summed per
# request: every request of a batch is charged the whole batch's time.
RUNS, REQUESTS, QUEUED = range(3)
PARTS = range(3, 6)  # of runs: images put together, the model, responses written
EACH = range(6, COLUMNS)  # the same parts, of requests
FAILED, FAILED_SECONDS, LAST = range(3)  # of row 0, for no batch is empty
KIND = "statistics", "of versions"  # of their keys in the shared memory
Table = NDArray[np.float64]  # (sizes, COLUMNS)


class Statistics:
    def __init__(self, settings: Settings, memory: SharedMemory | None = None) -> None:
        """`memory`: of all workers; None: this process is alone."""
        self._rows = rows(settings)
        self._memory = memory or private_memory(tables_size(settings))
        self._tables: dict[int, Cells] = {}  # by version
        for version in _versions_in(self._memory.own):
            self._table(version)

    def delivered(self, run: BatchResult[BatchPredictions], answered: int, waited: float) -> None:
        """A batch was delivered to `answered` requests, which had waited that long together."""
        readings = run.answers
        cells = self._table(readings.model.number)
        computed = readings.seconds
        prepared = run.seconds - computed
        written = perf_counter() - run.started_at - run.seconds
        cell = COLUMNS * min(len(readings), self._rows - 1)
        for amount in (
            1.0, answered, waited, prepared, computed, written,
            answered * prepared, answered * computed, answered * written,
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
        """Versions with statistics."""
        return sorted(set().union(*map(_versions_in, self._memory.segments)))

    def of(self, name: str, version: int) -> "VersionStatistics":
        """Those of one version, over all workers."""
        known = [segment.read(_key_of(version)) for segment in self._memory.segments]
        tables = [np.array(each).reshape(-1, COLUMNS) for each in known if each is not None]
        table: Table = sum(tables, start=np.zeros((self._rows, COLUMNS)))
        sizes = np.flatnonzero(table[1:, RUNS]) + 1  # of the batches that there were
        total = table[1:].sum(0)
        requests, runs = int(total[REQUESTS]), int(total[RUNS])
        return VersionStatistics(
            name=name,
            version=str(version),
            last_inference=int(max((each[0, LAST] for each in tables), default=0.0) * 1e3),
            inference_count=int(sizes @ table[sizes, RUNS]),
            execution_count=runs,
            inference_stats=InferenceStatistics(
                success=_duration(requests, total[[QUEUED, *EACH]].sum()),
                fail=_duration(table[0, FAILED], table[0, FAILED_SECONDS]),
                queue=_duration(requests, total[QUEUED]),
                **_parts(requests, total[[*EACH]]),
            ),
            batch_stats=[
                BatchStatistics(
                    batch_size=int(size), **_parts(table[size, RUNS], table[size, [*PARTS]])
                )
                for size in sizes
            ],
        )

    def _table(self, version: int) -> Cells:
        cells = self._tables.get(version)
        if cells is None:
            if len(self._tables) >= VERSIONS:
                self._forget(min(self._tables, key=lambda each: self._tables[each][LAST]))
            key, count = _key_of(version), self._rows * COLUMNS
            cells = self._tables[version] = self._memory.own.cells(key, count, at_end=True)
        return cells

    def _forget(self, version: int) -> None:
        """The one that has not answered for the longest."""
        del self._tables[version]
        self._memory.own.remove(_key_of(version))


def _key_of(version: int) -> str:
    return key_of(*KIND, (str(version),))


def _versions_in(segment: Segment) -> list[int]:
    return [int(version) for (version,) in segment.labels(*KIND)]


class Duration(BaseModel):
    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Of requests: each has the time of the whole batch that it was in."""

    success: Duration
    fail: Duration = Field(description="failed, shed or too late, and not by the client's fault")
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration = Duration(count=0, ns=0)  # there is no cache
    cache_miss: Duration = Duration(count=0, ns=0)


class BatchStatistics(BaseModel):
    """Of model calls of one size."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


class VersionStatistics(BaseModel):
    name: str
    version: str
    last_inference: int = Field(description="ms since 1970; 0: there was none")
    inference_count: int = Field(description="images")
    execution_count: int = Field(description="model calls")
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]


class ModelStatistics(BaseModel):
    model_stats: list[VersionStatistics]


def _parts(count: float, seconds: NDArray[np.float64]) -> dict[str, Duration]:
    """Of the seconds of each part of so many requests or runs."""
    prepared, computed, delivered = (_duration(count, each) for each in seconds)
    return {"compute_input": prepared, "compute_infer": computed, "compute_output": delivered}


def _duration(count: float, seconds: float) -> Duration:
    return Duration(count=int(count), ns=round(seconds * 1e9))

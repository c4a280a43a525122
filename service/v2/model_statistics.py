"""The sums of `statistics` as the statistics extension writes them: counts, and nanoseconds.

    success = queue + compute_input + compute_infer + compute_output, of each request
    arrival in the queue --queue--> put together --> model --> answers written

Both doors count. A picture file's decoding and the reading of a document come before all of it.
"""

from pydantic import BaseModel, Field

from service.columns import (
    COMPUTED,
    EACH_COMPUTED,
    EACH_PREPARED,
    EACH_TOLD,
    PREPARED,
    QUEUED,
    REQUESTS,
    RUNS,
    TOLD,
)
from service.statistics import Sums


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
    inference_count: int = Field(description="pictures")
    execution_count: int = Field(description="model calls")
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]


class Statistics(BaseModel):
    model_stats: list[VersionStatistics]


def statistics_of(name: str, version: int, sums: Sums) -> VersionStatistics:
    total = sums.total
    requests, (failed, failed_seconds) = int(total[REQUESTS]), sums.failed
    each = EACH_PREPARED, EACH_COMPUTED, EACH_TOLD
    return VersionStatistics(
        name=name,
        version=str(version),
        last_inference=int(sums.last * 1e3),
        inference_count=sums.pictures,
        execution_count=int(total[RUNS]),
        inference_stats=InferenceStatistics(
            success=_duration(requests, sum(total[column] for column in (QUEUED, *each))),
            fail=_duration(failed, failed_seconds),
            queue=_duration(requests, total[QUEUED]),
            compute_input=_duration(requests, total[EACH_PREPARED]),
            compute_infer=_duration(requests, total[EACH_COMPUTED]),
            compute_output=_duration(requests, total[EACH_TOLD]),
        ),
        batch_stats=[
            BatchStatistics(
                batch_size=size,
                compute_input=_duration(int(row[RUNS]), row[PREPARED]),
                compute_infer=_duration(int(row[RUNS]), row[COMPUTED]),
                compute_output=_duration(int(row[RUNS]), row[TOLD]),
            )
            for size, row in sums.sizes.items()
        ],
    )


def _duration(count: int, seconds: float) -> Duration:
    return Duration(count=count, ns=round(seconds * 1e9))

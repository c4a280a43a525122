"""What the batcher and its callers share: queued requests, batch results and exceptions.

A caller submits images, (n, h, w) or (n, h, w, 3) uint8, and is called exactly once: `answered`, or
`failed` with one of the exceptions here. Times are seconds on time.perf_counter.
"""

from collections.abc import Callable, Sized
from dataclasses import dataclass
from math import ceil
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from service.errors import Problem
from service.problem_types.operation import STOPPING
from service.problem_types.prediction import (
    DEADLINE_PASSED,
    DEADLINE_UNREACHABLE,
    MODEL_ANSWERED_NAN,
    QUEUE_FULL,
)
from service.tensors import Pixels

Answers = TypeVar("Answers", bound=Sized)  # of one model call, one an image, in order
Model = Callable[[Pixels], Answers]
Place = Literal["queue", "model"]


class QueueFull(Problem):
    """No room for more images; `retry_after` seconds from now there should be some."""

    kind = QUEUE_FULL

    def __init__(self, cause: str, retry_after: float) -> None:
        seconds = str(max(1, ceil(retry_after)))
        detail = f"{cause}; try again in {seconds} s"
        super().__init__(self.kind, detail, headers={"retry-after": seconds})
        self.retry_after = retry_after


class DeadlineUnreachable(QueueFull):
    """At the present throughput the queue ahead takes longer than the caller would wait."""

    kind = DEADLINE_UNREACHABLE


class DeadlinePassed(Problem):
    """The caller's deadline came before the answer."""

    def __init__(self, detail: str) -> None:
        super().__init__(DEADLINE_PASSED, detail)


class Closed(Problem):
    """The service stops: no more images are queued, no more versions are loaded."""

    def __init__(self) -> None:
        super().__init__(STOPPING, "the service is stopping; another replica can answer")


class AnsweredNaN(Problem):
    """To some of the images; the others of a batch may be answered without them."""

    def __init__(self) -> None:
        super().__init__(
            MODEL_ANSWERED_NAN,
            "the model answers NaN to an image of this request; another version, or "
            "DIGITSERVE_PRECISION=fp32, may answer it",
        )


class ModelFailed(Exception):
    """The model raised on these images alone; `__cause__` is what it raised."""


class BatchResult(NamedTuple, Generic[Answers]):
    """The result of one model call, shared by all callers whose images were in it."""

    answers: Answers
    started_at: float  # on perf_counter
    seconds: float  # it took


class Caller(Protocol[Answers]):
    def answered(self, run: BatchResult[Answers], first: int, waited: float) -> None:
        """The answers are those from `first` on; `waited` is the seconds in the queue."""

    def failed(self, error: Exception) -> None: ...


@dataclass(slots=True, eq=False)
class QueuedRequest(Generic[Answers]):
    """Accepted images, until their caller is called."""

    caller: Caller[Answers] | None  # None: called, or cancelled
    pixels: Pixels
    arrived: float
    deadline: float
    requests: int = 1  # that it counts as, once it is answered


Batch = list[QueuedRequest[Answers]]
Outcome = tuple[Batch[Answers], BatchResult[Answers] | ModelFailed | Problem]

"""What the batcher and its callers say to each other: what waits, runs, and what went wrong.

A caller hands in pictures, (n, 28, 28) uint8, and is told once: answered, or failed with one of the
exceptions here. Times are seconds on time.perf_counter.
"""

from collections.abc import Callable, Sized
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from service.tensors import Pixels

Answers = TypeVar("Answers", bound=Sized)  # of one model call, one a picture, in order
Model = Callable[[Pixels], Answers]
Place = Literal["queue", "model"]


class QueueFull(Exception):
    """No room for more pictures; `retry_after` seconds from now there should be some."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BufferFull(QueueFull):
    """The bodies that are being received fill the memory for them."""


class PreparationFull(QueueFull):
    """As many requests as may wait to be read and decoded do."""


class DeadlineUnreachable(QueueFull):
    """At its present pace the queue ahead takes longer than the caller would wait."""


class DeadlinePassed(Exception):
    """The caller's deadline came before the answer."""


class ClientDeadlinePassed(DeadlinePassed):
    """The same, of one that the caller set itself; the service would have waited longer."""


class Closed(Exception):
    """The service stops: no more images are queued, no more versions are loaded."""


class ModelFailed(Exception):
    """The model raised on these pictures alone; `__cause__` is what it raised."""


class Run(NamedTuple, Generic[Answers]):
    """One model call, shared by everyone whose pictures were in it."""

    answers: Answers
    left: float  # when, on perf_counter
    seconds: float  # it took


class Caller(Protocol[Answers]):
    def answered(self, run: Run[Answers], first: int, waited: float) -> None:
        """The answers are those from `first` on; `waited` is the seconds in the queue."""

    def failed(self, error: Exception) -> None: ...


class Waiting(Generic[Answers]):
    """Pictures that were accepted, until their caller is told."""

    __slots__ = ("arrived", "caller", "deadline", "pixels")

    def __init__(
        self, caller: Caller[Answers], pixels: Pixels, arrived: float, deadline: float
    ) -> None:
        self.caller: Caller[Answers] | None = caller  # None: told, or cancelled
        self.pixels = pixels
        self.arrived = arrived
        self.deadline = deadline


Batch = list[Waiting[Answers]]
Outcome = tuple[Batch[Answers], Run[Answers] | ModelFailed]

"""Work of a request that would hold up the event loop: a large image, a form, a model call.

    exchange --slices--> queue --memory, a thread--> next slice ... --> then(result), or fail

Work comes in slices, each of which first yields how much memory it takes. A slice begins when a
thread is free and the budget has room for it. The request for which least work was done comes
first: small ones pass large ones, and large ones take turns. Those for which about as much was
done, within powers of two, come in the order of their arrival: else of images that are alike but
for a few bytes the largest would wait as long as others come. One of several threads is kept for
small slices, so that they never wait until a large image is decoded.

The pixels that a request prepares in several slices are kept from one to the next. They have a
budget of their own, so that a thousand requests do not each hold theirs half prepared.

Once its deadline has passed, or its client has hung up, no further slice of a request begins.
"""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heappop, heappush
from itertools import count
from time import perf_counter
from typing import Any, Generic, TypeVar

from contract.cgroup import available_cores
from preprocessing.allocation import return_memory_early
from service.batching.interface import DeadlinePassed, DeadlineUnreachable, QueueFull
from service.errors import Problem
from service.http.errors import PREPARATION_FULL
from service.http.exchange import Exchange
from service.problem_types.prediction import DECODING_TOO_LARGE
from service.telemetry.request_record import Stage

SMALL = 2**22  # bytes; what takes no more is done in milliseconds
MOST_THREADS = 8
MANY = 4  # requests: of fewer, the next is done too late to wait for it
IN_TIME = 0.5  # of the time until its deadline, that a request may be expected to wait at first
T = TypeVar("T")
# Yields the bytes that its next slice takes, works on that slice when it is resumed, and returns
# the result.
Slices = Generator[int, None, T]


class Kept(int):
    """What a small slice yields in place of its memory: bytes that it keeps until the last one."""


def thread_count() -> int:
    return min(MOST_THREADS, max(2, available_cores()))


def whole(memory: int, work: Callable[[], T]) -> Slices[T]:
    """Work in one slice."""
    yield memory
    return work()


class PreparationFull(QueueFull):
    """As many requests wait to be read and decoded as may."""

    reason = PREPARATION_FULL


class Offload:
    """Everything but the slices themselves is called on the event loop."""

    def __init__(
        self,
        most: int,
        memory: int = 0,
        kept: int = 0,
        *,
        threads: int | None = None,
        stage: Stage = "decode",
        done: str = "read",
        full: type[QueueFull] = PreparationFull,
    ) -> None:
        """At most that many requests, whose slices take at most `memory` bytes at a time.

        Between their slices they keep at most `kept` bytes together, or one of them whatever it
        needs.

        `stage` is where a request is that is cancelled here, `done` what it waits for in the words
        of errors, and `full` what is raised when too many wait.
        """
        self._most = most
        self._stage = stage
        self._done = done
        self._full = full
        self._count = threads or thread_count()
        self._large = memory - self._count * SMALL  # bytes for slices that are not small
        self._cores = available_cores()
        self._taken = 0  # bytes of those that run
        self._most_kept = kept
        self._kept = 0  # bytes
        self._large_running = 0
        self._large_waiting = 0  # bytes of the large slices that wait
        self._seconds_a_byte = 1e-9  # of large slices, smoothed
        self._running = 0
        self._jobs = 0  # waiting or running
        self._pace = 0.1  # seconds a request, smoothed
        self._order = count()
        self._small_queue: _Queue = []
        self._large_queue: _Queue = []
        self._keeping_queue: _Queue = []  # those that wait for room to keep something
        return_memory_early()
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix=stage)
        for _ in range(self._count):  # now, for later there may be no memory for their stacks
            self._threads.submit(perf_counter)

    def do(
        self,
        exchange: Exchange,
        slices: Slices[T],
        then: Callable[[T, float], object],
        *,
        keeps: int = 0,
    ) -> None:
        """Call `then` with the result, and the seconds of work that it took; what either raises is
        the exchange's failure.

        `keeps`: bytes that it keeps already. Raises QueueFull if too many wait already, or keep too
        much, and Problem if the first slice alone is larger than the budget.
        """
        if self._jobs >= self._most or (keeps and not self._may_keep(keeps)):
            seconds = self._jobs * self._pace / self._count
            raise self._full(
                f"{self._jobs} requests are already waiting to be {self._done}", seconds
            )
        job = _Job(exchange, slices, then)
        self._enqueue(job, next(slices))
        if keeps:
            self._keep(job, keeps)
        self._jobs += 1
        left = exchange.deadline - perf_counter()
        job.alarm = asyncio.get_running_loop().call_later(left, self._too_late, job)
        exchange.cancel_work = lambda _: self._cancel(job)
        self._begin()

    def takes_all_cores(self) -> bool:
        """Whether slices run on every core, and many requests need more of them."""
        return self._running >= self._cores and self._jobs >= MANY

    def run(self, work: Callable[[], object]) -> None:
        """Call `work` on a thread, for no request."""
        self._threads.submit(work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _enqueue(self, job: "_Job[Any]", memory: int) -> None:
        if isinstance(memory, Kept):
            job.keeps, memory = memory, 0
        elif memory > SMALL and memory > self._large:
            raise Problem(
                DECODING_TOO_LARGE,
                f"to decode it takes {memory:,} bytes of memory, more than the "
                f"{self._large:,} that there are for one image (DIGITSERVE_MAX_DECODING); send a "
                "smaller one",
            )
        if memory > SMALL:
            self._check_deadline(job, self._large_waiting / (self._count - 1) + memory, IN_TIME)
            self._large_waiting += memory
        job.memory, job.waits = memory, True
        work = (job.done + memory).bit_length()
        heappush(self._queue_of(job), (work, next(self._order), job))

    def _queue_of(self, job: "_Job[Any]") -> "_Queue":
        if job.keeps and not job.is_keeping:
            return self._keeping_queue
        return self._small_queue if job.memory <= SMALL else self._large_queue

    def _check_deadline(self, job: "_Job[Any]", memory: float, share: float = 1.0) -> None:
        """DeadlineUnreachable if so many bytes take longer than that share of the time left: what
        is begun and not finished in time is work that others needed."""
        seconds = self._seconds_a_byte * memory
        if seconds > share * (job.exchange.deadline - perf_counter()):
            raise DeadlineUnreachable(
                "the images that wait to be decoded take longer than this request may", seconds
            )

    def _leaves_queue(self, job: "_Job[Any]") -> None:
        if job.waits and job.memory > SMALL:
            self._large_waiting -= job.memory
        job.waits = False

    def _begin(self) -> None:
        """Begin slices while a thread is free and the budget has room."""
        while self._running < self._count:
            queue = self._next_queue()
            if queue is None:
                return
            _, _, job = heappop(queue)
            try:
                if job.memory > SMALL:
                    self._check_deadline(job, job.memory)
            except DeadlineUnreachable as error:
                self._finish(job)
                job.exchange.fail(error)
            else:
                self._run(job)

    def _next_queue(self) -> "_Queue | None":
        small, large = self._small_queue, self._large_queue
        if large and (not small or large[0] < small[0]) and self._has_room(large[0][2].memory):
            return large
        keeping = self._keeping_queue
        if keeping and self._may_keep(keeping[0][2].keeps):
            return keeping
        return small or None

    def _has_room(self, memory: int) -> bool:
        return self._large_running < self._count - 1 and self._taken + memory <= self._large

    def _may_keep(self, size: int) -> bool:
        return not self._kept or self._kept + size <= self._most_kept

    def _keep(self, job: "_Job[Any]", size: int) -> None:
        job.keeps, job.is_keeping = size, True
        self._kept += size

    def _run(self, job: "_Job[Any]") -> None:
        is_large = job.memory > SMALL
        self._leaves_queue(job)
        if job.keeps and not job.is_keeping:
            self._keep(job, job.keeps)
        self._running += 1
        self._large_running += is_large
        self._taken += job.memory if is_large else 0
        job.done += job.memory
        before = job.seconds
        future = asyncio.get_running_loop().run_in_executor(self._threads, job.resume)

        def done(ended: asyncio.Future[Any]) -> None:
            self._running -= 1
            self._large_running -= is_large
            self._taken -= job.memory if is_large else 0
            if is_large:
                pace = (job.seconds - before) / job.memory
                self._seconds_a_byte = 0.8 * self._seconds_a_byte + 0.2 * pace
            self._after(job, ended)
            self._begin()

        future.add_done_callback(done)

    def _after(self, job: "_Job[Any]", ended: "asyncio.Future[Any]") -> None:
        """A slice has ended: continue, deliver the result, or report what it raised."""
        if ended.cancelled() or job.exchange.over:
            ended.cancelled() or ended.exception()
            self._finish(job)
            return
        try:
            memory = ended.result()
            if memory is not None:
                self._enqueue(job, memory)
                return
            self._finish(job)
            self._pace = 0.8 * self._pace + 0.2 * job.seconds
            job.then(job.result, job.seconds)
        except Exception as error:  # of the request, or of a queue that is full
            self._finish(job)
            job.exchange.fail(error)

    def _finish(self, job: "_Job[Any]") -> None:
        if not job.is_finished:
            job.is_finished = True
            self._leaves_queue(job)
            self._kept -= job.keeps if job.is_keeping else 0
            self._jobs -= 1
            job.alarm.cancel()
            job.forget()

    def _too_late(self, job: "_Job[Any]") -> None:
        error = DeadlinePassed(f"the deadline passed before the request was {self._done}")
        job.exchange.fail(error)
        self._cancel(job)

    def _cancel(self, job: "_Job[Any]") -> Stage:
        if job.waits:  # else when its slice ends
            queue = self._queue_of(job)  # until its turn it would hold the request with its body
            queue[:] = [entry for entry in queue if entry[2] is not job]
            heapify(queue)
            self._finish(job)
        return self._stage


class _Job(Generic[T]):
    """The work of one exchange."""

    alarm: asyncio.TimerHandle

    def __init__(
        self, exchange: Exchange, slices: Slices[T], then: Callable[[T, float], object]
    ) -> None:
        self.exchange = exchange
        self.then = then
        self.memory = 0  # bytes of the next slice, or of the one that runs
        self.keeps = 0  # bytes between its slices
        self.is_keeping = False  # or it waits for room
        self.done = 0  # bytes of all slices that have begun: what was done for it
        self.seconds = 0.0  # of work
        self.waits = False
        self.is_finished = False
        self.result: T | None = None
        self._slices: Slices[T] | None = slices

    def resume(self) -> int | None:
        """Work on a slice, on a thread; the bytes of the next, None if there is none."""
        assert self._slices is not None
        began = perf_counter()
        try:
            return next(self._slices)
        except StopIteration as end:
            self.result = end.value
            return None
        finally:
            self.seconds += perf_counter() - began

    def forget(self) -> None:
        """Release the body and the image."""
        self._slices = None


_Queue = list[tuple[int, int, _Job[Any]]]

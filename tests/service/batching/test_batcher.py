"""The behaviour of the batcher as its callers see it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pytest

from service.batching import batcher as batcher_module
from service.batching.batcher import Batcher
from service.batching.interface import (
    BatchResult,
    Closed,
    DeadlinePassed,
    DeadlineUnreachable,
    ModelFailed,
    QueueFull,
)
from service.errors import Problem
from service.problem_types.versions import VERSION_REPLACED
from service.tensors import Pixels

pytestmark = pytest.mark.anyio

FOREVER = 60.0  # seconds; longer than any test may take
BAD = 255  # an image of this value makes every batch that contains it fail


def picture(value: int) -> Pixels:
    return np.full((28, 28), value, np.uint8)


class BatchAnswer(NamedTuple):
    answer: int  # to the first image
    batch_size: int
    waited: float


class Caller:
    """A caller whose outcome can be awaited."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[BatchAnswer] = asyncio.get_running_loop().create_future()

    def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
        self.outcome.set_result(BatchAnswer(run.answers[first], len(run.answers), waited))

    def failed(self, error: Exception) -> None:
        self.outcome.set_exception(error)


class Model:
    """Answers each image with its first pixel, can be blocked, and records every batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, pixels: Pixels) -> list[int]:
        self.entered.set()
        assert self.open.wait(timeout=100)  # not reached, however slow the machine is
        values = [int(value) for value in pixels[:, 0, 0]]
        self.batches.append(values)
        if BAD in values:
            raise ValueError("cannot read this image")
        return values

    @asynccontextmanager
    async def busy(self, batcher: Batcher[list[int]]) -> AsyncIterator[asyncio.Task[BatchAnswer]]:
        """The model is busy with image 0 until the block ends."""
        self.open.clear()
        self.entered.clear()
        task = asyncio.create_task(predict(batcher, 0))
        await asyncio.to_thread(self.entered.wait, 10)
        try:
            yield task
        finally:
            self.open.set()


@pytest.fixture
def model() -> Model:
    return Model()


def batcher_of(
    model: Any,
    *,
    max_batch: int = 64,
    max_wait: float = 0.0,
    max_queue: int = 64,
    on_loop: Callable[[int], bool] = lambda _: False,
    more_to_come: Callable[[], bool] = lambda: False,
) -> Batcher[list[int]]:
    return Batcher(
        model,
        max_batch=max_batch,
        max_wait=max_wait,
        max_queue=max_queue,
        on_loop=on_loop,
        more_to_come=more_to_come,
    )


async def predict(
    batcher: Batcher[list[int]], *values: int, within: float = FOREVER
) -> BatchAnswer:
    """Predict a few images in one request; cancelling the task cancels the request."""
    caller = Caller()
    pixels = np.stack([picture(value) for value in values])
    waiting = batcher.submit(caller, pixels, deadline=perf_counter() + within)
    try:
        return await caller.outcome
    finally:
        batcher.cancel(waiting)


async def enqueue(batcher: Batcher[list[int]], *values: int) -> list[asyncio.Task[BatchAnswer]]:
    """Tasks whose images are all in the queue when this returns."""
    tasks = [asyncio.create_task(predict(batcher, value)) for value in values]
    before = batcher.depth
    while batcher.depth < before + len(values):  # noqa: ASYNC110 (a turn of the loop, no time)
        await asyncio.sleep(0)
    return tasks


async def test_a_single_image_is_answered_without_waiting_for_others(model: Model) -> None:
    async with batcher_of(model) as batcher, asyncio.timeout(5):
        answered = await predict(batcher, 7)
    assert (answered.answer, answered.batch_size) == (7, 1)


async def test_images_queued_while_the_model_is_busy_form_one_batch(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, 4, 5)
        answers = await asyncio.gather(*tasks)
    assert model.batches == [[0], [1, 2, 3, 4, 5]]
    assert {answered.batch_size for answered in answers} == {5}


async def test_a_batch_never_exceeds_its_maximum(model: Model) -> None:
    async with batcher_of(model, max_batch=4) as batcher:
        async with model.busy(batcher):
            tasks = await enqueue(batcher, *range(1, 11))
        await asyncio.gather(*tasks)
    assert [len(batch) for batch in model.batches] == [1, 4, 4, 2]


async def test_every_caller_gets_the_answer_to_its_own_image(model: Model) -> None:
    async with batcher_of(model, max_batch=7) as batcher:
        answers = await asyncio.gather(*(predict(batcher, value % 200) for value in range(50)))
    assert [answered.answer for answered in answers] == list(range(50))


async def test_max_wait_holds_a_single_image_until_the_batch_is_full(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=FOREVER) as batcher, asyncio.timeout(5):
        await asyncio.gather(predict(batcher, 1), predict(batcher, 2))
    assert model.batches == [[1, 2]]


async def test_max_wait_ends_for_a_single_image(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=0.05) as batcher, asyncio.timeout(5):
        answered = await predict(batcher, 1)
    assert answered.batch_size == 1
    assert answered.waited >= 0.04


async def test_max_wait_counts_from_arrival_not_from_when_the_model_is_free(model: Model) -> None:
    async with batcher_of(model, max_batch=8, max_wait=0.2) as batcher, asyncio.timeout(5):
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1)
            await asyncio.sleep(0.3)  # its max_wait passes while the model is busy
        freed = asyncio.get_running_loop().time()
        await asyncio.gather(*tasks)
        assert asyncio.get_running_loop().time() - freed < 0.2


async def test_images_wait_for_those_that_are_decoded_on_all_cores(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until there are four, or until no more come."""
    monkeypatch.setattr(batcher_module, "LONGEST", FOREVER)
    busy = True
    async with batcher_of(model, more_to_come=lambda: busy) as batcher, asyncio.timeout(5):
        assert {(await task).batch_size for task in await enqueue(batcher, 1, 2, 3, 4)} == {4}
        tasks = await enqueue(batcher, 5, 6)
        await asyncio.sleep(0.05)
        assert batcher.depth == 2
        busy = False
        tasks += await enqueue(batcher, 7)
        assert {(await task).batch_size for task in tasks} == {3}


async def test_an_image_does_not_wait_long_for_those_that_are_decoded(model: Model) -> None:
    async with batcher_of(model, more_to_come=lambda: True) as batcher, asyncio.timeout(5):
        assert (await predict(batcher, 1)).batch_size == 1


async def test_a_short_call_waits_for_no_image_that_is_decoded(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "LONGEST", FOREVER)
    always = batcher_of(model, on_loop=lambda _: True, more_to_come=lambda: True)
    async with always as batcher, asyncio.timeout(5):
        assert (await predict(batcher, 1)).batch_size == 1


async def test_a_full_queue_rejects_at_once_with_a_retry_time(model: Model) -> None:
    async with batcher_of(model, max_queue=2) as batcher:
        await predict(batcher, 0)  # so that the batcher knows the duration of a batch
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2)
            with pytest.raises(QueueFull, match="2 images are already waiting") as refused:
                await predict(batcher, 3)
        await asyncio.gather(*tasks)
    assert 0 < refused.value.retry_after < FOREVER


async def test_an_image_whose_deadline_passes_in_the_queue_is_not_computed(
    model: Model,
) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            with pytest.raises(DeadlinePassed):
                await predict(batcher, 1, within=0.05)
            assert batcher.depth == 0
        await predict(batcher, 2)
    assert model.batches == [[0], [2]]


async def test_a_deadline_may_pass_while_the_model_runs(model: Model) -> None:
    async with batcher_of(model) as batcher:
        model.open.clear()
        with pytest.raises(DeadlinePassed):
            await predict(batcher, 1, within=0.05)
        model.open.set()
        assert (await predict(batcher, 2)).answer == 2


async def test_an_image_of_a_cancelled_request_is_not_computed(model: Model) -> None:
    async with batcher_of(model, max_queue=2) as batcher:
        async with model.busy(batcher):
            gone, kept = await enqueue(batcher, 1, 2)
            gone.cancel()
            await asyncio.wait([gone])
            (late,) = await enqueue(batcher, 3)  # the queue of two has room again
        await asyncio.gather(kept, late)
    assert model.batches == [[0], [2, 3]]


async def test_cancelling_while_the_model_runs_does_not_affect_other_callers(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher) as running:
            running.cancel()
            (other,) = await enqueue(batcher, 5)
        assert (await other).answer == 5


async def test_a_failing_batch_is_split_until_only_the_bad_image_fails(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, BAD, 5, 6, 7)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [isinstance(outcome, ModelFailed) for outcome in outcomes]
    assert failed == [False, False, False, True, False, False, False]


async def test_the_batcher_survives_a_model_that_fails(model: Model) -> None:
    async with batcher_of(model) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await predict(batcher, BAD)
        assert str(failed.value.__cause__) == "cannot read this image"
        assert (await predict(batcher, 1)).answer == 1
        assert batcher.alive


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), StopIteration(), asyncio.CancelledError(), KeyboardInterrupt(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
async def test_any_exception_of_the_model_fails_only_that_image(error: BaseException) -> None:
    def model(pixels: Pixels) -> list[int]:
        if pixels.max() == BAD:
            raise error
        return [1] * len(pixels)

    async with batcher_of(model) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await predict(batcher, BAD)
        assert failed.value.__cause__ is error
        assert (await predict(batcher, 1)).answer == 1


async def test_a_model_that_returns_too_few_answers_is_an_error() -> None:
    async with batcher_of(lambda pixels: [1, 2, 3]) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await predict(batcher, 1)
    assert str(failed.value.__cause__) == "the model gave 3 answers to 1 images"


async def test_an_image_with_an_expired_deadline_is_not_computed(model: Model) -> None:
    async with batcher_of(model) as batcher:
        with pytest.raises(DeadlinePassed):
            await predict(batcher, 1, within=-1)
        await predict(batcher, 2)
    assert model.batches == [[2]]


async def test_a_request_may_be_cancelled_before_an_idle_model_takes_it(model: Model) -> None:
    async with batcher_of(model) as batcher:
        gone = batcher.submit(Caller(), picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
        assert batcher.cancel(gone) == "queue"
        await predict(batcher, 2)
    assert model.batches == [[2]]


async def test_a_part_of_a_request_may_be_cancelled_while_it_waits(model: Model) -> None:
    async with batcher_of(model) as batcher:
        pixels = np.stack([picture(number) for number in (1, 2, 3)])
        caller = Caller()
        waiting = batcher.submit(caller, pixels, deadline=perf_counter() + FOREVER)
        assert batcher.shrink(waiting, pixels[[0, 2]]) == "queue"
        assert batcher.depth == 2
        await predict(batcher, 4)
        assert batcher.shrink(waiting, pixels[:1]) is None
    assert model.batches == [[1, 3, 4]]
    assert batcher.depth == 0


async def test_a_deadline_may_pass_while_the_event_loop_is_blocked(model: Model) -> None:
    async with batcher_of(model) as batcher:
        late = asyncio.create_task(predict(batcher, 1, within=0.02))
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 (the point: nothing else runs meanwhile)
        with pytest.raises(DeadlinePassed):
            await late
        await predict(batcher, 2)
    assert model.batches == [[2]]


async def test_ten_thousand_simultaneous_cancellations_leave_nothing_queued(
    model: Model,
) -> None:
    async with batcher_of(model, max_queue=10_000) as batcher, model.busy(batcher):
        tasks = await enqueue(batcher, *[1] * 10_000)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.wait(tasks)
        assert batcher.depth == 0
    assert model.batches == [[0]]


@pytest.mark.parametrize("max_wait", [0.0, FOREVER], ids=["model busy", "batch still filling"])
async def test_closing_answers_every_accepted_request(model: Model, max_wait: float) -> None:
    async with batcher_of(model, max_wait=max_wait) as batcher:
        tasks = await enqueue(batcher, 1, 2, 3)
    answers = await asyncio.gather(*tasks)
    assert [answered.answer for answered in answers] == [1, 2, 3]


async def test_a_closed_batcher_rejects_requests(model: Model) -> None:
    batcher = batcher_of(model)
    async with batcher:
        assert batcher.alive
    assert not batcher.alive
    with pytest.raises(Closed):
        await predict(batcher, 1)


async def test_images_of_one_request_stay_together_in_a_batch(
    model: Model,
) -> None:
    async with batcher_of(model, max_batch=4) as batcher:
        async with model.busy(batcher):
            answers = [
                asyncio.create_task(predict(batcher, *values))
                for values in ([1, 2], [3, 4, 5], [6])
            ]
            await asyncio.sleep(0)
            assert batcher.depth == 6
        first = [(await answer).answer for answer in answers]
    assert model.batches == [[0], [1, 2], [3, 4, 5, 6]]
    assert first == [1, 3, 6]


async def test_a_deadline_that_the_queue_cannot_meet_is_rejected_at_once(
    model: Model,
) -> None:
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.2)  # seconds that this batch takes: the only known duration
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, 4)
            with pytest.raises(DeadlineUnreachable, match="4 images are waiting") as refused:
                await predict(batcher, 5, within=0.3)
            patient = await enqueue(batcher, 6)
        await asyncio.gather(*tasks, *patient)
    assert 0 < refused.value.retry_after < FOREVER


async def test_batches_that_a_problem_refuses_say_nothing_about_the_time_of_others(
    model: Model,
) -> None:
    def refuse(_: Pixels) -> list[int]:
        raise Problem(VERSION_REPLACED, "another version serves")

    computes = True
    async with batcher_of(
        lambda pixels: model(pixels) if computes else refuse(pixels), max_batch=2
    ) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.2)
        computes = False
        for _ in range(20):
            with pytest.raises(Problem):
                await predict(batcher, 1)
        computes = True
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, 4)
            with pytest.raises(DeadlineUnreachable):
                await predict(batcher, 5, within=0.3)
        await asyncio.gather(*tasks)


async def test_the_time_of_batches_of_another_model_is_forgotten(model: Model) -> None:
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher) as first:
            await asyncio.sleep(0.2)
        await first
        batcher.set_limits(2, 64)
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, 4)
            now = perf_counter()
            batcher.admit(1, now, now + 0.01)
        await asyncio.gather(*tasks)


async def test_an_expired_deadline_is_not_attributed_to_the_queue(model: Model) -> None:
    """Even if the queue could not meet a slightly later deadline either."""
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.2)
        async with model.busy(batcher):
            tasks = await enqueue(batcher, 1, 2, 3, 4)
            with pytest.raises(DeadlinePassed):
                await predict(batcher, 5, within=0)
        await asyncio.gather(*tasks)


async def test_one_slow_batch_does_not_cause_rejections_for_ever(model: Model) -> None:
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.5)
        for _ in range(10):  # each of them is faster than the batch before
            assert (await predict(batcher, 1, within=0.4)).answer == 1


async def test_the_next_batch_starts_before_the_last_answers_are_delivered(
    model: Model,
) -> None:
    class Slow(Caller):
        def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
            assert model.entered.wait(timeout=10)
            super().answered(run, first, waited)

    async with batcher_of(model) as batcher:
        model.open.clear()
        slow = Slow()
        batcher.submit(slow, picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
        while not model.entered.is_set():  # noqa: ASYNC110 (set in a thread)
            await asyncio.sleep(0.001)
        tasks = await enqueue(batcher, 2)
        model.entered.clear()
        model.open.set()
        assert (await slow.outcome).answer == 1
        await asyncio.gather(*tasks)


async def test_a_short_call_runs_on_the_event_loop_and_a_long_one_in_a_thread() -> None:
    threads: list[int] = []

    def model(pixels: Pixels) -> list[int]:
        threads.append(threading.get_ident())
        return [0] * len(pixels)

    async with batcher_of(model, on_loop=lambda pictures: pictures < 3) as batcher:
        for values in ([1], [1, 2], [1, 2, 3], [1]):
            await predict(batcher, *values)
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, True, False, True]


async def test_a_caller_that_raises_does_not_affect_other_callers(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Caller):
        def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
            raise RuntimeError("cannot write")

    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            batcher.submit(Broken(), picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
            tasks = await enqueue(batcher, 2)
        assert (await tasks[0]).answer == 2
    assert "an answer could not be given" in caplog.text


async def test_cancelling_returns_where_the_images_were(model: Model) -> None:
    async with batcher_of(model) as batcher:
        deadline = perf_counter() + FOREVER
        model.open.clear()
        running = batcher.submit(Caller(), picture(1)[np.newaxis], deadline=deadline)
        while not model.entered.is_set():  # noqa: ASYNC110 (set in a thread)
            await asyncio.sleep(0.001)
        waiting = batcher.submit(Caller(), picture(2)[np.newaxis], deadline=deadline)
        assert batcher.cancel(waiting) == "queue"
        assert batcher.cancel(running) == "model"
        assert batcher.cancel(running) is None
        model.open.set()
    assert model.batches == [[1]]


async def test_waiting_for_a_fuller_batch_does_not_count_as_model_time(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=0.3) as batcher:
        await predict(batcher, 1)  # alone in its batch, after max_wait
        crowd = [asyncio.create_task(predict(batcher, value, within=0.5)) for value in range(20)]
        answers = await asyncio.gather(*crowd)
    assert [answered.answer for answered in answers] == list(range(20))


async def test_on_the_event_loop_a_long_queue_is_processed_batch_by_batch(model: Model) -> None:
    async with batcher_of(model, max_batch=4, on_loop=lambda _: True) as batcher:
        async with asyncio.timeout(5):
            await asyncio.gather(*(predict(batcher, value) for value in range(10)))
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


async def test_an_answer_after_the_deadline_is_discarded() -> None:
    def model(pixels: Pixels) -> list[int]:
        time.sleep(0.1)
        return [1] * len(pixels)

    async with batcher_of(model, on_loop=lambda _: True) as batcher:
        with pytest.raises(DeadlinePassed, match="in the model"):
            await predict(batcher, 1, within=0.05)

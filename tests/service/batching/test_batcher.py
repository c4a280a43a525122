"""What the batcher promises its callers."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pytest

from service.batching.batcher import Batcher
from service.batching.interface import (
    BatchResult,
    Closed,
    DeadlinePassed,
    DeadlineUnreachable,
    ModelFailed,
    QueueFull,
)
from service.tensors import Pixels

pytestmark = pytest.mark.anyio

FOREVER = 60.0  # seconds; longer than any test may take
BAD = 255  # a picture of this value makes every batch fail that it is in


def picture(value: int) -> Pixels:
    return np.full((28, 28), value, np.uint8)


class Answered(NamedTuple):
    answer: int  # to the first picture
    batch_size: int
    waited: float


class Asking:
    """A caller that can be awaited."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

    def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
        self.outcome.set_result(Answered(run.answers[first], len(run.answers), waited))

    def failed(self, error: Exception) -> None:
        self.outcome.set_exception(error)


class Model:
    """Answers each picture with its own first pixel; can be made to wait; remembers every batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, pixels: Pixels) -> list[int]:
        self.entered.set()
        assert self.open.wait(timeout=10)
        values = [int(value) for value in pixels[:, 0, 0]]
        self.batches.append(values)
        if BAD in values:
            raise ValueError("cannot read this picture")
        return values

    @asynccontextmanager
    async def busy(self, batcher: Batcher[list[int]]) -> AsyncIterator[asyncio.Task[Answered]]:
        """The model holds picture 0 until the block ends."""
        self.open.clear()
        self.entered.clear()
        task = asyncio.create_task(ask(batcher, 0))
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
) -> Batcher[list[int]]:
    return Batcher(
        model, max_batch=max_batch, max_wait=max_wait, max_queue=max_queue, on_loop=on_loop
    )


async def ask(batcher: Batcher[list[int]], *values: int, within: float = FOREVER) -> Answered:
    """Ask for a few pictures at once; to be cancelled is to hang up."""
    asking = Asking()
    pixels = np.stack([picture(value) for value in values])
    waiting = batcher.submit(asking, pixels, deadline=perf_counter() + within)
    try:
        return await asking.outcome
    finally:
        batcher.cancel(waiting)


async def asked(batcher: Batcher[list[int]], *values: int) -> list[asyncio.Task[Answered]]:
    """Tasks that are all waiting in the queue when this returns."""
    tasks = [asyncio.create_task(ask(batcher, value)) for value in values]
    before = batcher.depth
    while batcher.depth < before + len(values):  # noqa: ASYNC110 (a turn of the loop, no time)
        await asyncio.sleep(0)
    return tasks


async def test_a_lone_picture_is_answered_without_waiting_for_company(model: Model) -> None:
    async with batcher_of(model) as batcher, asyncio.timeout(5):
        answered = await ask(batcher, 7)
    assert (answered.answer, answered.batch_size) == (7, 1)


async def test_what_queued_behind_a_busy_model_leaves_in_one_batch(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            tasks = await asked(batcher, 1, 2, 3, 4, 5)
        answers = await asyncio.gather(*tasks)
    assert model.batches == [[0], [1, 2, 3, 4, 5]]
    assert {answered.batch_size for answered in answers} == {5}


async def test_a_batch_never_exceeds_its_maximum(model: Model) -> None:
    async with batcher_of(model, max_batch=4) as batcher:
        async with model.busy(batcher):
            tasks = await asked(batcher, *range(1, 11))
        await asyncio.gather(*tasks)
    assert [len(batch) for batch in model.batches] == [1, 4, 4, 2]


async def test_every_caller_gets_the_answer_to_its_own_picture(model: Model) -> None:
    async with batcher_of(model, max_batch=7) as batcher:
        answers = await asyncio.gather(*(ask(batcher, value % 200) for value in range(50)))
    assert [answered.answer for answered in answers] == list(range(50))


async def test_max_wait_holds_a_lone_picture_until_company_fills_the_batch(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=FOREVER) as batcher, asyncio.timeout(5):
        await asyncio.gather(ask(batcher, 1), ask(batcher, 2))
    assert model.batches == [[1, 2]]


async def test_max_wait_ends_for_a_picture_without_company(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=0.05) as batcher, asyncio.timeout(5):
        answered = await ask(batcher, 1)
    assert answered.batch_size == 1
    assert answered.waited >= 0.04


async def test_max_wait_counts_from_arrival_not_from_when_the_model_is_free(model: Model) -> None:
    async with batcher_of(model, max_batch=8, max_wait=0.2) as batcher, asyncio.timeout(5):
        async with model.busy(batcher):
            tasks = await asked(batcher, 1)
            await asyncio.sleep(0.3)  # its whole wait is over while the model is busy
        freed = asyncio.get_running_loop().time()
        await asyncio.gather(*tasks)
        assert asyncio.get_running_loop().time() - freed < 0.2


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(model: Model) -> None:
    async with batcher_of(model, max_queue=2) as batcher:
        await ask(batcher, 0)  # so that its pace is known
        async with model.busy(batcher):
            tasks = await asked(batcher, 1, 2)
            with pytest.raises(QueueFull, match="2 pictures are already waiting") as refused:
                await ask(batcher, 3)
        await asyncio.gather(*tasks)
    assert 0 < refused.value.retry_after < FOREVER


async def test_a_deadline_passes_in_the_queue_and_the_picture_is_never_computed(
    model: Model,
) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            with pytest.raises(DeadlinePassed):
                await ask(batcher, 1, within=0.05)
            assert batcher.depth == 0
        await ask(batcher, 2)
    assert model.batches == [[0], [2]]


async def test_a_deadline_passes_while_the_model_runs(model: Model) -> None:
    async with batcher_of(model) as batcher:
        model.open.clear()
        with pytest.raises(DeadlinePassed):
            await ask(batcher, 1, within=0.05)
        model.open.set()
        assert (await ask(batcher, 2)).answer == 2


async def test_a_picture_whose_caller_hung_up_is_never_computed(model: Model) -> None:
    async with batcher_of(model, max_queue=2) as batcher:
        async with model.busy(batcher):
            gone, kept = await asked(batcher, 1, 2)
            gone.cancel()
            await asyncio.wait([gone])
            (late,) = await asked(batcher, 3)  # the queue of two has room again
        await asyncio.gather(kept, late)
    assert model.batches == [[0], [2, 3]]


async def test_a_caller_that_hangs_up_while_the_model_runs_disturbs_nobody(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher) as running:
            running.cancel()
            (other,) = await asked(batcher, 5)
        assert (await other).answer == 5


async def test_a_failing_batch_is_split_until_only_the_bad_picture_fails(model: Model) -> None:
    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            tasks = await asked(batcher, 1, 2, 3, BAD, 5, 6, 7)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [isinstance(outcome, ModelFailed) for outcome in outcomes]
    assert failed == [False, False, False, True, False, False, False]


async def test_the_batcher_survives_a_model_that_fails(model: Model) -> None:
    async with batcher_of(model) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await ask(batcher, BAD)
        assert str(failed.value.__cause__) == "cannot read this picture"
        assert (await ask(batcher, 1)).answer == 1
        assert batcher.alive


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), StopIteration(), asyncio.CancelledError(), KeyboardInterrupt(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_model_raises_is_a_failure_of_that_picture(error: BaseException) -> None:
    def model(pixels: Pixels) -> list[int]:
        if pixels.max() == BAD:
            raise error
        return [1] * len(pixels)

    async with batcher_of(model) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await ask(batcher, BAD)
        assert failed.value.__cause__ is error
        assert (await ask(batcher, 1)).answer == 1


async def test_a_model_that_loses_answers_is_an_error_not_a_mix_up() -> None:
    async with batcher_of(lambda pixels: [1, 2, 3]) as batcher:
        with pytest.raises(ModelFailed) as failed:
            await ask(batcher, 1)
    assert str(failed.value.__cause__) == "the model gave 3 answers to 1 pictures"


async def test_a_deadline_that_has_passed_already_is_never_computed(model: Model) -> None:
    async with batcher_of(model) as batcher:
        with pytest.raises(DeadlinePassed):
            await ask(batcher, 1, within=-1)
        await ask(batcher, 2)
    assert model.batches == [[2]]


async def test_a_caller_that_hangs_up_before_an_idle_model_took_its_picture(model: Model) -> None:
    async with batcher_of(model) as batcher:
        gone = batcher.submit(Asking(), picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
        assert batcher.cancel(gone) == "queue"
        await ask(batcher, 2)
    assert model.batches == [[2]]


async def test_a_deadline_passes_while_the_event_loop_is_held_up(model: Model) -> None:
    async with batcher_of(model) as batcher:
        late = asyncio.create_task(ask(batcher, 1, within=0.02))
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 (the point: nothing else runs meanwhile)
        with pytest.raises(DeadlinePassed):
            await late
        await ask(batcher, 2)
    assert model.batches == [[2]]


async def test_ten_thousand_callers_that_hang_up_at_once_leave_nothing_behind(
    model: Model,
) -> None:
    async with batcher_of(model, max_queue=10_000) as batcher, model.busy(batcher):
        tasks = await asked(batcher, *[1] * 10_000)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.wait(tasks)
        assert batcher.depth == 0
    assert model.batches == [[0]]


@pytest.mark.parametrize("max_wait", [0.0, FOREVER], ids=["model busy", "batch still filling"])
async def test_closing_answers_everyone_who_was_accepted(model: Model, max_wait: float) -> None:
    async with batcher_of(model, max_wait=max_wait) as batcher:
        tasks = await asked(batcher, 1, 2, 3)
    answers = await asyncio.gather(*tasks)
    assert [answered.answer for answered in answers] == [1, 2, 3]


async def test_a_closed_batcher_refuses(model: Model) -> None:
    batcher = batcher_of(model)
    async with batcher:
        assert batcher.alive
    assert not batcher.alive
    with pytest.raises(Closed):
        await ask(batcher, 1)


async def test_pictures_that_came_together_leave_together_and_are_answered_together(
    model: Model,
) -> None:
    async with batcher_of(model, max_batch=4) as batcher:
        async with model.busy(batcher):
            answers = [
                asyncio.create_task(ask(batcher, *values)) for values in ([1, 2], [3, 4, 5], [6])
            ]
            await asyncio.sleep(0)
            assert batcher.depth == 6
        first = [(await answer).answer for answer in answers]
    assert model.batches == [[0], [1, 2], [3, 4, 5, 6]]
    assert first == [1, 3, 6]


async def test_a_deadline_that_the_queue_ahead_cannot_meet_is_refused_at_once(
    model: Model,
) -> None:
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.2)  # seconds that this batch takes: all that is known of the pace
        async with model.busy(batcher):
            tasks = await asked(batcher, 1, 2, 3, 4)
            with pytest.raises(DeadlineUnreachable, match="4 pictures are waiting") as refused:
                await ask(batcher, 5, within=0.3)
            patient = await asked(batcher, 6)
        await asyncio.gather(*tasks, *patient)
    assert 0 < refused.value.retry_after < FOREVER


async def test_a_deadline_that_has_passed_is_not_put_down_to_the_queue(model: Model) -> None:
    """Behind a queue that no deadline a little later would meet either."""
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.2)
        async with model.busy(batcher):
            tasks = await asked(batcher, 1, 2, 3, 4)
            with pytest.raises(DeadlinePassed):
                await ask(batcher, 5, within=0)
        await asyncio.gather(*tasks)


async def test_a_slow_moment_does_not_make_it_refuse_for_ever(model: Model) -> None:
    async with batcher_of(model, max_batch=2) as batcher:
        async with model.busy(batcher):
            await asyncio.sleep(0.5)
        for _ in range(10):  # each of them is shorter than the batch before
            assert (await ask(batcher, 1, within=0.4)).answer == 1


async def test_the_next_batch_is_in_the_model_before_the_answers_of_the_last_are_told(
    model: Model,
) -> None:
    class Slow(Asking):
        def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
            assert model.entered.wait(timeout=10)
            super().answered(run, first, waited)

    async with batcher_of(model) as batcher:
        model.open.clear()
        slow = Slow()
        batcher.submit(slow, picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
        while not model.entered.is_set():  # noqa: ASYNC110 (set in a thread)
            await asyncio.sleep(0.001)
        tasks = await asked(batcher, 2)
        model.entered.clear()
        model.open.set()
        assert (await slow.outcome).answer == 1
        await asyncio.gather(*tasks)


async def test_a_quick_call_is_made_on_the_event_loop_and_any_other_beside_it() -> None:
    threads: list[int] = []

    def model(pixels: Pixels) -> list[int]:
        threads.append(threading.get_ident())
        return [0] * len(pixels)

    async with batcher_of(model, on_loop=lambda pictures: pictures < 3) as batcher:
        for values in ([1], [1, 2], [1, 2, 3], [1]):
            await ask(batcher, *values)
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, True, False, True]


async def test_a_caller_that_cannot_take_its_answer_costs_nobody_theirs(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Asking):
        def answered(self, run: BatchResult[list[int]], first: int, waited: float) -> None:
            raise RuntimeError("cannot write")

    async with batcher_of(model) as batcher:
        async with model.busy(batcher):
            batcher.submit(Broken(), picture(1)[np.newaxis], deadline=perf_counter() + FOREVER)
            tasks = await asked(batcher, 2)
        assert (await tasks[0]).answer == 2
    assert "an answer could not be given" in caplog.text


async def test_to_hang_up_says_where_the_pictures_were(model: Model) -> None:
    async with batcher_of(model) as batcher:
        deadline = perf_counter() + FOREVER
        model.open.clear()
        running = batcher.submit(Asking(), picture(1)[np.newaxis], deadline=deadline)
        while not model.entered.is_set():  # noqa: ASYNC110 (set in a thread)
            await asyncio.sleep(0.001)
        waiting = batcher.submit(Asking(), picture(2)[np.newaxis], deadline=deadline)
        assert batcher.cancel(waiting) == "queue"
        assert batcher.cancel(running) == "model"
        assert batcher.cancel(running) is None
        model.open.set()
    assert model.batches == [[1]]


async def test_to_wait_for_company_says_nothing_of_the_pace(model: Model) -> None:
    async with batcher_of(model, max_batch=2, max_wait=0.3) as batcher:
        await ask(batcher, 1)  # which waits for nobody
        crowd = [asyncio.create_task(ask(batcher, value, within=0.5)) for value in range(20)]
        answers = await asyncio.gather(*crowd)
    assert [answered.answer for answered in answers] == list(range(20))


async def test_on_the_event_loop_a_long_queue_leaves_batch_after_batch(model: Model) -> None:
    async with batcher_of(model, max_batch=4, on_loop=lambda _: True) as batcher:
        async with asyncio.timeout(5):
            await asyncio.gather(*(ask(batcher, value) for value in range(10)))
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


async def test_an_answer_that_comes_after_the_deadline_is_none() -> None:
    def model(pixels: Pixels) -> list[int]:
        time.sleep(0.1)
        return [1] * len(pixels)

    async with batcher_of(model, on_loop=lambda _: True) as batcher:
        with pytest.raises(DeadlinePassed, match="in the model"):
            await ask(batcher, 1, within=0.05)

"""A step is what a steady number of users was told, and what that took."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.exposition import Exposition
from loadtest.trial.second import Second
from loadtest.trial.step import Asking, steps
from loadtest.watch import Look, Use
from tests.loadtest.trial.played import ASKING, STARTED, result, told


def seconds(*users: int) -> list[Second]:
    return [Second(STARTED + at, each, {"png": told(100, 0.01)}) for at, each in enumerate(users)]


def look(at: float, **numbers: float) -> Look:
    text = "".join(f"digitserve_{name} {number}\n" for name, number in numbers.items())
    use = Use(1, cpu=at / 2, resident=0, proportional=0, descriptors=0, threads=0)
    return Look(at, 0, Exposition.read(text), "", use, generator_cpu=at / 4, busy=at)


def test_the_first_seconds_of_a_step_and_those_between_steps_do_not_count() -> None:
    first, second = steps(seconds(*[10] * 12, 15, 18, *[20] * 12), [], ASKING)
    assert (first.users, first.began, first.seconds) == (10, 2, 10)
    assert (second.users, second.began, second.seconds) == (20, 16, 10)
    assert first.rate == 100
    assert first.told.asked == 1000


def test_offered_is_what_users_would_ask_for_if_answers_took_no_time() -> None:
    (step,) = steps(seconds(*[10] * 12), [], ASKING)
    assert step.offered == 40
    (step,) = steps(seconds(*[10] * 12), [], replace(ASKING, think=0.0))
    assert step.offered is None


def test_where_users_come_one_after_another_a_step_is_a_piece_of_time() -> None:
    ramp = replace(ASKING, in_steps=False)
    pieces = steps(seconds(*range(1, 12)), [], ramp)
    assert [(piece.users, piece.seconds) for piece in pieces] == [(3, 5), (8, 5)]
    slow = steps(seconds(1, 1, 1, 2, 2, 3, 3, 3, 3, 4), [], ramp)
    assert [(piece.users, piece.seconds) for piece in slow] == [(1, 5), (3, 5)]


def test_nobody_and_a_moment_are_no_steps() -> None:
    assert steps(seconds(*[0] * 9, 5), [], ASKING) == []
    assert steps([], [], ASKING) == []


def test_what_the_service_did_lies_between_the_first_and_the_last_look_of_the_step() -> None:
    def at(second: float, pictures: int, waited: float) -> Look:
        return look(
            second,
            batch_size_sum=pictures,
            batch_size_count=pictures / 4,
            queue_wait_seconds_sum=waited,
            shed_total=pictures / 10,
            http_requests_total=pictures,
        )

    looks = [at(0, 0, 0), at(3, 100, 1), at(11, 900, 25), at(13, 9_000, 99)]
    (step,) = steps(seconds(*[10] * 12), looks, Asking(1, cores=2, all_cores=4, started=STARTED))
    assert step.service is not None
    assert (step.service.batch, step.service.queue) == (4, 3)  # pictures; 24 s of waiting in 8 s
    assert (step.service.shed, step.service.cpu) == (0.1, 0.5)
    assert step.generator == 0.25 / 2
    assert step.others == pytest.approx((1 - 0.5 - 0.25) / 4)
    assert step.disturbed is False


def test_what_is_not_known_is_not_said() -> None:
    (step,) = steps(seconds(*[10] * 12), [look(3)], ASKING)
    assert (step.service, step.others, step.generator) == (None, None, None)
    assert not step.generator_bound
    lost = [replace(look(at), metrics=None, service=None) for at in (3, 11)]
    (step,) = steps(seconds(*[10] * 12), lost, ASKING)
    assert (step.service, step.others) == (None, None)
    assert step.generator == 0.25
    elsewhere = [replace(look(at), service=None) for at in (3, 11)]
    (step,) = steps(seconds(*[10] * 12), elsewhere, ASKING)
    assert step.service is not None
    assert (step.service.cpu, step.others) == (None, None)


def test_a_generator_that_has_no_cpu_left_is_marked(tmp_path: Path) -> None:
    marks = [step.generator_bound for step in result(tmp_path, generator=1e-3).curve.steps]
    assert marks == [False, False, False, False, True, True, True, True]

"""What a probe reads of a server, and how long it waits for answers."""

import itertools
import time

import pytest

from loadtest.capacity.probe import Plan, Subject, prober
from loadtest.client.openloop.generator import PATIENCE
from loadtest.client.requests import ExpectedRequest, picture
from loadtest.host.machine import Placement
from loadtest.report.slo import Slo
from tests.loadtest.tiny import reply, tiny

SEVEN = ExpectedRequest(picture(b"a seven"), b'"label":"7"')
METRICS = """# {{"label":"7"}}
digitserve_batch_size_sum{{worker="1"}} {}
digitserve_batch_size_count{{worker="1"}} {}
"""
HERE = Placement(server=(), generators=(0,))


def test_pictures_a_call_are_those_of_the_time_that_is_measured() -> None:
    ready = 10  # 200/s x 50 ms

    def threes_later(number: int) -> bytes:
        """One picture a call for the connections, three when it is measured."""
        pictures = number + 2 * max(0, number - ready)
        return reply(body=METRICS.format(pictures, number).encode())

    plan = Plan(Slo(0.05, 1.0), 0.3, 0.0, 1024, HERE)
    with tiny(threes_later) as server:
        done = prober(Subject(server.address), [SEVEN], plan, itertools.count().__next__)(200)
    assert done.server.batch == pytest.approx(3)


@pytest.mark.slow
def test_a_promise_is_waited_for_even_if_it_is_long() -> None:
    def slow(number: int) -> bytes:
        if number == ready:
            time.sleep(PATIENCE + 0.5)
        return reply(body=b'{"label":"7"}')

    plan = Plan(Slo(20.0, 0.0), 0.3, 0.0, 20, HERE)
    ready = 20 + 1  # connections, and what /metrics is asked
    with tiny(slow) as server:
        done = prober(Subject(server.address), [SEVEN], plan, itertools.count().__next__)(30)
    assert (done.unanswered, done.errors) == (0, 0)
    assert done.p99 > PATIENCE

"""What a probe measures of a server, and how long it waits for answers."""

import itertools
import time

import pytest

from loadtest.capacity.probe import Plan, Subject, prober
from loadtest.client.openloop.generator import PATIENCE
from loadtest.client.requests import ExpectedRequest, predict_request
from loadtest.host.machine import Placement
from loadtest.report.slo import Slo
from tests.loadtest.tiny import reply, tiny

SEVEN = ExpectedRequest(predict_request(b"a seven"), b'"label":"7"')
METRICS = """# {{"label":"7"}}
digitserve_batch_size_sum{{worker="1"}} {}
digitserve_batch_size_count{{worker="1"}} {}
"""
HERE = Placement(server=(), generators=(0,))


def test_images_per_call_are_those_of_the_measured_interval() -> None:
    ready = 10  # 200/s x 50 ms

    def threes_later(number: int) -> bytes:
        """One image per call during the warm-up, three during the measurement."""
        images = number + 2 * max(0, number - ready)
        return reply(body=METRICS.format(images, number).encode())

    plan = Plan(Slo(0.05, 1.0), 0.3, 0.0, 1024, HERE)
    with tiny(threes_later) as server:
        done = prober(Subject(server.address), [SEVEN], plan, itertools.count().__next__)(200)
    assert done.server.batch == pytest.approx(3)


@pytest.mark.slow
def test_answers_are_awaited_as_long_as_a_long_slo_allows() -> None:
    def slow(number: int) -> bytes:
        if number == ready:
            time.sleep(PATIENCE + 0.5)
        return reply(body=b'{"label":"7"}')

    plan = Plan(Slo(20.0, 0.0), 0.3, 0.0, 20, HERE)
    ready = 20 + 1  # warm-up connections, and the requests for /metrics
    with tiny(slow) as server:
        done = prober(Subject(server.address), [SEVEN], plan, itertools.count().__next__)(30)
    assert (done.unanswered, done.errors) == (0, 0)
    assert done.p99 > PATIENCE

"""A server under measurement is pinned to its core with its children and stopped with the block."""

import os
import sys

import pytest

from loadtest.client.asyncio_client import LOST
from loadtest.client.requests import predict_request
from loadtest.errors import CannotMeasure
from loadtest.host import processes
from loadtest.host.machine import Placement, on
from loadtest.target.server import started
from loadtest.target.targets import ECHO, Target, echo

PROBE = predict_request(b"anything")
CORE = Placement.of(generators=1).server


def python(code: str) -> Target:
    return Target("python", lambda port: [sys.executable, "-c", code])


def test_the_echo_app_gives_all_clients_the_same_answer_on_its_core() -> None:
    with started(echo(), CORE, probe=PROBE) as running:
        answer = running.send(predict_request(bytes(100_000)))
        assert os.sched_getaffinity(running.pid) == set(CORE)
        assert running.idle.processes == 1
        assert running.cpu.seconds() > 0
    assert (answer.status, answer.body) == (200, ECHO)
    assert processes.tree(running.pid) == []
    with pytest.raises(LOST):
        running.send(PROBE)


def test_a_failed_start_is_reported_with_the_last_output() -> None:
    with (
        pytest.raises(CannotMeasure, match=r"(?s)ended with 3.*no model here"),
        started(python("import sys; print('no model here'); sys.exit(3)"), CORE, probe=PROBE),
    ):
        pass


def test_the_allowed_cores_are_restored() -> None:
    before = os.sched_getaffinity(0)
    with on(*CORE):
        assert os.sched_getaffinity(0) == set(CORE)
    assert os.sched_getaffinity(0) == before


def test_a_machine_with_one_core_is_reported() -> None:
    with on(*CORE):
        cores = Placement.of()
    assert cores == Placement(CORE, CORE)
    assert "no other" in str(cores)
    assert str(Placement((0,), (1,))) == "server on core 0, generator on core 1"

"""A supervisor watches a single worker too, and replaces it when it hangs."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from contract.store import Store
from contract.version import Version
from tests.support.metrics import metric
from tests.support.running import Service, status, wait_to_read, wait_until

HANG_TIMEOUT = 2  # seconds


@pytest.fixture
def service(published: tuple[Store, Version]) -> Iterator[Service]:
    models = published[0].folder.parent
    settings = {"supervise": True, "hang_timeout": HANG_TIMEOUT, "drain_seconds": 0}
    with Service.started(models, **settings) as service:
        yield service


def worker(service: Service) -> int:
    (row,) = status(service)["workers"]
    pid: int = row["pid"]
    return pid


def test_a_worker_that_hangs_is_killed_and_replaced(service: Service) -> None:
    before = worker(service)
    os.kill(before, signal.SIGSTOP)
    wait_to_read("worker 0 has not reported for 2 s: it is killed", service)
    # Its socket stays open, so that this request waits for the next worker.
    assert worker(service) != before
    wait_until(lambda: metric(service, "worker_restarts_total") == 1, service)


@pytest.mark.slow
def test_no_worker_is_killed_after_the_machine_was_suspended(service: Service) -> None:
    supervisor, before = service.process.pid, worker(service)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(supervisor, number)
        os.kill(before, number)
        if number == signal.SIGSTOP:
            time.sleep(HANG_TIMEOUT + 2)
    assert worker(service) == before
    assert "killed" not in service.log

"""A collector that fails does not affect the service, which answers, counts and stops as usual."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.target.server import free_port
from tests.support.connection import connected
from tests.support.metrics import metric
from tests.support.pictures import SEVEN
from tests.support.receiver import Handler, Receiver, answering, hanging, resetting
from tests.support.running import Service, wait_to_read, wait_until

pytestmark = pytest.mark.slow

NOT_SENT = 'spans_dropped_total{reason="not_sent"}'
FULL = 'spans_dropped_total{reason="queue_full"}'
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def models(published: tuple[Store, Version]) -> Path:
    return published[0].folder.parent


@contextmanager
def exporting(models: Path, url: str, **settings: object) -> Iterator[Service]:
    defaults = {"otlp_endpoint": url, "trace_sample": 1, "trace_limit": 10_000, "drain_seconds": 0}
    with Service.started(models, **defaults | settings) as service:
        yield service


def predict(service: Service, times: int = 1) -> None:
    with service.client(headers=PNG) as client:
        for _ in range(times):
            assert client.post("/v1/predict", content=SEVEN).status_code == 200


def warnings_of(service: Service) -> list[str]:
    return [line for line in service.log.splitlines() if "does not take traces" in line]


@contextmanager
def broken(how: str) -> Iterator[str]:
    """The address of a collector that fails in this way."""
    with ExitStack() as stack:
        if how == "refuses":
            yield f"http://127.0.0.1:{free_port()}"
            return
        if how == "hangs":
            answer, _ = stack.enter_context(hanging())
        else:
            answer = {
                "resets": resetting,
                "fails": answering(500),
                "is full": answering(429, retry_after="60"),
            }[how]
        yield stack.enter_context(Receiver(answer)).url


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("refuses", "no connection"),
        ("hangs", "no answer within 5 s"),
        ("resets", "no connection"),
        ("fails", "it answers 500"),
        ("is full", "it answers 429"),
    ],
)
def test_spans_lost_by_a_failing_collector_are_counted_and_logged_once(
    how: str, reason: str, models: Path
) -> None:
    with broken(how) as url, exporting(models, url) as service:
        predict(service, 20)  # three messages
        wait_until(lambda: metric(service, NOT_SENT) > 40, service)
        predict(service)
        wait_until(lambda: warnings_of(service), service)
        (warning,) = warnings_of(service)
        assert f"{url}/v1/traces" in warning
        assert reason in warning
        assert "Traceback" not in service.log
        assert metric(service, "spans_exported_total") == 0


def test_a_collector_that_recovers_gets_traces_and_is_logged_once(models: Path) -> None:
    port = free_port()
    with exporting(models, f"http://127.0.0.1:{port}") as service:
        predict(service)
        wait_until(lambda: warnings_of(service), service)
        with Receiver(port=port) as receiver:
            predict(service)
            wait_until(lambda: receiver.heads, service)
            predict(service)
            wait_until(lambda: len(receiver.named("batch")) > 1, service)
            wait_to_read("takes traces again", service)
            assert service.log.count("takes traces again") == len(warnings_of(service)) == 1
            assert metric(service, NOT_SENT) > 0


def test_the_queue_of_spans_is_bounded(models: Path) -> None:
    with hanging() as (answer, reached), Receiver(answer) as receiver, ExitStack() as stack:
        service = stack.enter_context(exporting(models, receiver.url))
        predict(service)
        assert reached.wait(60)
        with connected(service) as connection:
            for _ in range(6):  # of 500: no more than 1000 may be pipelined on a connection
                connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
                for _ in range(500):
                    assert connection.answer()[0] == 200
        assert metric(service, FULL) > 0
        predict(service)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_does_not_wait_for_a_hanging_collector(models: Path, workers: int) -> None:
    with hanging() as (answer, reached), Receiver(answer) as receiver, ExitStack() as stack:
        service = stack.enter_context(exporting(models, receiver.url, workers=workers))
        predict(service)
        assert reached.wait(60)
        for _ in range(4):  # over separate connections, so that all workers have spans to export
            predict(service, 60)
        began = time.monotonic()
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        # All messages would take 5 s each, about thirty in total.
        assert time.monotonic() - began < 30
        assert "killed" not in service.log


def test_queued_spans_are_sent_at_shutdown(models: Path) -> None:
    with Receiver() as receiver, exporting(models, receiver.url) as service:
        predict(service, 3)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert len(receiver.named("POST /v1/predict")) == 3
        assert len(receiver.named("batch")) == 3


def test_a_slow_collector_gets_all_spans(models: Path) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        handler.accept()

    with Receiver(slow) as receiver, exporting(models, receiver.url) as service:
        predict(service, 40)
        wait_until(lambda: len(receiver.named("POST /v1/predict")) == 40, service)
        assert not warnings_of(service)
        assert metric(service, NOT_SENT) == metric(service, FULL) == 0

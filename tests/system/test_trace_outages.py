"""A collector that does not do its work is no matter of the service's: it answers, counts, ends."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
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
def telling(models: Path, url: str, **settings: object) -> Iterator[Service]:
    defaults = {"otlp_endpoint": url, "trace_sample": 1, "trace_limit": 10_000, "drain_seconds": 0}
    with Service.started(models, **defaults | settings) as service:
        yield service


def predict(service: Service, times: int = 1) -> None:
    with service.client(headers=PNG) as client:
        for _ in range(times):
            assert client.post("/v1/predict", content=SEVEN).status_code == 200


def complaints(service: Service) -> list[str]:
    return [line for line in service.log.splitlines() if "does not take traces" in line]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def broken(how: str) -> Iterator[str]:
    """The address of a collector that is."""
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
    ("how", "said"),
    [
        ("refuses", "no connection"),
        ("hangs", "no answer within 5 s"),
        ("resets", "no connection"),
        ("fails", "it answers 500"),
        ("is full", "it answers 429"),
    ],
)
def test_what_a_broken_collector_does_not_take_is_counted_and_said_once(
    how: str, said: str, models: Path
) -> None:
    with broken(how) as url, telling(models, url) as service:
        predict(service, 20)  # three messages
        wait_until(lambda: metric(service, NOT_SENT) > 40, service)
        predict(service)
        wait_until(lambda: complaints(service), service)
        (complaint,) = complaints(service)
        assert f"{url}/v1/traces" in complaint
        assert said in complaint
        assert "Traceback" not in service.log
        assert metric(service, "spans_exported_total") == 0


def test_a_collector_that_is_back_gets_traces_and_that_is_said_once(models: Path) -> None:
    port = free_port()
    with telling(models, f"http://127.0.0.1:{port}") as service:
        predict(service)
        wait_until(lambda: complaints(service), service)
        with Receiver(port=port) as receiver:
            predict(service)
            wait_until(lambda: receiver.heads, service)
            predict(service)
            wait_until(lambda: len(receiver.named("batch")) > 1, service)
            wait_to_read("takes traces again", service)
            assert service.log.count("takes traces again") == len(complaints(service)) == 1
            assert metric(service, NOT_SENT) > 0


def test_what_waits_for_a_collector_is_bounded(models: Path) -> None:
    with hanging() as (answer, asked), Receiver(answer) as receiver, ExitStack() as stack:
        service = stack.enter_context(telling(models, receiver.url))
        predict(service)
        assert asked.wait(60)
        with connected(service) as connection:
            for _ in range(6):  # of 500: no more than 1000 may be in line on a connection
                connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
                for _ in range(500):
                    assert connection.answer()[0] == 200
        assert metric(service, FULL) > 0
        predict(service)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_does_not_wait_for_a_collector_that_hangs(models: Path, workers: int) -> None:
    with hanging() as (answer, asked), Receiver(answer) as receiver, ExitStack() as stack:
        service = stack.enter_context(telling(models, receiver.url, workers=workers))
        predict(service)
        assert asked.wait(60)
        for _ in range(4):  # each its own connection: all workers have what to tell
            predict(service, 60)
        began = time.monotonic()
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        # All messages would take 5 s each, some thirty of them.
        assert time.monotonic() - began < 30
        assert "killed" not in service.log


def test_what_waits_at_the_end_is_sent(models: Path) -> None:
    with Receiver() as receiver, telling(models, receiver.url) as service:
        predict(service, 3)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert len(receiver.named("POST /v1/predict")) == 3
        assert len(receiver.named("batch")) == 3


def test_a_slow_collector_gets_everything(models: Path) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        handler.accept()

    with Receiver(slow) as receiver, telling(models, receiver.url) as service:
        predict(service, 40)
        wait_until(lambda: len(receiver.named("POST /v1/predict")) == 40, service)
        assert not complaints(service)
        assert metric(service, NOT_SENT) == metric(service, FULL) == 0

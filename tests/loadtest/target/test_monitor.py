"""A service is monitored while it is under load; failed observations do not stop the run."""

import os
import subprocess
import sys

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.target.monitor import Observation, Period, monitored
from tests.loadtest.tiny import reply, tiny
from tests.support.running import Service
from tests.support.waiting import until

REQUESTS = "digitserve_http_requests_total"
EVERY = 0.05  # seconds


def counted(each: Observation) -> float:
    assert each.metrics is not None, each.error
    return each.metrics.total(REQUESTS, route="/v1/samples/random")


def test_observations_cover_the_block_from_start_to_end(service: Service) -> None:
    pid = service.process.pid
    with (
        service.client() as client,
        monitored(service.url, service=pid, generator=os.getpid(), every=EVERY) as observations,
    ):
        before = counted(observations[0])
        client.get("/v1/samples/random")
        until(lambda: counted(observations[-1]) == before + 1)
        client.get("/v1/samples/random")
    assert counted(observations[-1]) == before + 2
    assert [each.at for each in observations] == sorted(each.at for each in observations)
    for each in observations:
        assert each.took > 0
        assert each.service is not None
        assert each.service.processes == 1
        assert min(each.service.threads, each.service.descriptors) > 1
        assert 0 < each.service.proportional < each.service.resident + (1 << 20)
        assert each.service.cpu > 0
        assert each.generator_cpu > 0


def test_observations_reuse_one_connection(service: Service) -> None:
    with service.client() as client, monitored(service.url, every=EVERY) as observations:
        until(lambda: len(observations) > 3)
        client.get("/metrics")
    assert {each.error for each in observations} == {""}
    assert observations[0].service is None
    assert observations[0].generator_cpu == 0


def test_a_failed_observation_has_its_error_and_the_next_one_is_made() -> None:
    answers = [b"", reply(503), b"no HTTP\r\n\r\n", reply(body=b"<html>"), reply(body=b"depth 3\n")]
    with (
        tiny(lambda number: answers[min(number, len(answers) - 1)]) as server,
        monitored(str(server.address), every=EVERY) as observations,
    ):
        until(lambda: observations[-1].metrics is not None)
    errors = [each.error for each in observations]
    assert "RemoteDisconnected" in errors[0]
    assert "503" in errors[1]
    assert "no HTTP" in errors[2]
    assert "<html>" in errors[3]
    reported = observations[4].metrics
    assert reported is not None
    assert reported.total("depth") == 3


def test_a_dead_service_is_still_observed(published: tuple[Store, Version]) -> None:
    store, _ = published
    with (
        Service.started(store.folder.parent) as dying,
        monitored(dying.url, service=dying.process.pid, every=EVERY) as observations,
    ):
        assert observations[0].service is not None
        dying.process.kill()
        dying.exit_code()
        until(lambda: "ConnectionRefused" in observations[-1].error)
    assert observations[-1].service is not None
    assert (observations[-1].service.processes, observations[-1].service.resident) == (0, 0)
    assert observations[-1].service.cpu >= observations[0].service.cpu > 0


def test_the_cpu_time_of_a_generator_that_ends_early_is_kept() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\ninput()"
    generator = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)
    with (
        tiny(lambda _: reply(body=b"")) as server,
        monitored(str(server.address), generator=generator.pid, every=EVERY) as observations,
    ):
        until(lambda: observations[-1].generator_cpu >= 0.18)
        generator.communicate(b"\n")
    assert observations[-1].generator_cpu >= 0.18
    period = Period.between(observations[0], observations[-1])
    assert period is not None
    assert period.generator > 0


def test_an_exception_in_the_block_is_propagated(service: Service) -> None:
    with pytest.raises(KeyError), monitored(service.url, every=EVERY) as observations:
        raise KeyError
    assert len(observations) >= 2

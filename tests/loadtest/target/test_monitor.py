"""A service is looked at while something asks it, and no look ends anything."""

import os
import subprocess
import sys

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.target.monitor import Look, Period, watched
from tests.loadtest.tiny import reply, tiny
from tests.support.running import Service
from tests.support.waiting import until

REQUESTS = "digitserve_http_requests_total"
EVERY = 0.05  # seconds


def heard(look: Look) -> float:
    assert look.metrics is not None, look.lost
    return look.metrics.total(REQUESTS, route="/v1/samples/random")


def test_looks_come_from_the_blocks_beginning_to_its_end(service: Service) -> None:
    pid = service.process.pid
    with (
        service.client() as client,
        watched(service.url, service=pid, generator=os.getpid(), every=EVERY) as looks,
    ):
        before = heard(looks[0])
        client.get("/v1/samples/random")
        until(lambda: heard(looks[-1]) == before + 1)
        client.get("/v1/samples/random")
    assert heard(looks[-1]) == before + 2
    assert [look.at for look in looks] == sorted(look.at for look in looks)
    for look in looks:
        assert look.took > 0
        assert look.service is not None
        assert look.service.processes == 1
        assert min(look.service.threads, look.service.descriptors) > 1
        assert 0 < look.service.proportional < look.service.resident + (1 << 20)
        assert look.service.cpu > 0
        assert look.generator_cpu > 0


def test_the_looks_keep_one_connection(service: Service) -> None:
    with service.client() as client, watched(service.url, every=EVERY) as looks:
        until(lambda: len(looks) > 3)
        client.get("/metrics")
    assert {look.lost for look in looks} == {""}
    assert looks[0].service is None
    assert looks[0].generator_cpu == 0


def test_a_look_that_failed_says_why_and_the_next_one_tries_again() -> None:
    answers = [b"", reply(503), b"no HTTP\r\n\r\n", reply(body=b"<html>"), reply(body=b"depth 3\n")]
    with (
        tiny(lambda number: answers[min(number, len(answers) - 1)]) as server,
        watched(str(server.address), every=EVERY) as looks,
    ):
        until(lambda: looks[-1].metrics is not None)
    lost = [look.lost for look in looks]
    assert "RemoteDisconnected" in lost[0]
    assert "503" in lost[1]
    assert "no HTTP" in lost[2]
    assert "<html>" in lost[3]
    reported = looks[4].metrics
    assert reported is not None
    assert reported.total("depth") == 3


def test_a_service_that_dies_is_looked_for_on(published: tuple[Store, Version]) -> None:
    store, _ = published
    with (
        Service.started(store.folder.parent) as dying,
        watched(dying.url, service=dying.process.pid, every=EVERY) as looks,
    ):
        assert looks[0].service is not None
        dying.process.kill()
        dying.exit_code()
        until(lambda: "ConnectionRefused" in looks[-1].lost)
    assert looks[-1].service is not None
    assert (looks[-1].service.processes, looks[-1].service.resident) == (0, 0)
    assert looks[-1].service.cpu >= looks[0].service.cpu > 0


def test_the_cpu_time_of_a_generator_that_ends_before_the_last_observation_counts() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\ninput()"
    generator = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)
    with (
        tiny(lambda _: reply(body=b"")) as server,
        watched(str(server.address), generator=generator.pid, every=EVERY) as looks,
    ):
        until(lambda: looks[-1].generator_cpu >= 0.18)
        generator.communicate(b"\n")
    assert looks[-1].generator_cpu >= 0.18
    period = Period.between(looks[0], looks[-1])
    assert period is not None
    assert period.generator > 0


def test_what_ends_the_block_is_not_held_back(service: Service) -> None:
    with pytest.raises(KeyError), watched(service.url, every=EVERY) as looks:
        raise KeyError
    assert len(looks) >= 2

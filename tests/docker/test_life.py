"""Containers stop and restart without losing an accepted request."""

import re
import threading
from functools import partial

import httpx2
import pytest

from tests.docker.engine import HARDENED, docker, inspect, wait_until
from tests.docker.stack import Stack
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE

PNG = {"Content-Type": "image/png"}
IMAGE = "digitserve-service"


def test_docker_stop_under_load_loses_no_request(stack: Stack) -> None:
    """Clients post continuously until connections fail; all requests before that must succeed."""
    outcomes: list[int | str] = []
    url = stack.inner_url

    def client() -> None:
        try:
            while True:
                answer = fetch.post(
                    f"{url}/v1/predict", content=SEVEN, headers=PNG, timeout=PATIENCE
                )
                outcomes.append(answer.status_code)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            pass  # never accepted
        except httpx2.HTTPError as error:
            outcomes.append(repr(error))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    wait_until(lambda: len(outcomes) > 50, lambda: stack.logs)
    container = stack.service["Id"]
    stack.compose("stop", "service")
    for thread in clients:
        thread.join(PATIENCE * 2)
    stopped = inspect(container)["State"]
    stack.up()
    assert set(outcomes) == {200}
    assert stopped["ExitCode"] == 0


def test_with_images_and_a_model_the_service_is_healthy_in_seconds(stack: Stack) -> None:
    """The goal is 10 s; the limit is for busy machines."""
    stack.compose("down")
    took = stack.up()
    print(f"healthy {took:.1f} s after docker compose up")
    assert took < 40


def test_a_killed_container_restarts_with_its_model(stack: Stack) -> None:
    before = stack.service
    version = stack.served()
    kill = f"import os; os.kill({before['State']['Pid']}, 9)"
    words = ("--rm", "--pid=host", "--user=0", "--entrypoint=python", IMAGE, "-c", kill)
    docker("run", *words)
    wait_until(lambda: stack.service["RestartCount"] > before["RestartCount"], lambda: stack.logs)
    wait_until(lambda: stack.served() == version, lambda: stack.logs)
    assert stack.service["Id"] == before["Id"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_starting_service_can_be_stopped_at_once(stack: Stack, workers: int) -> None:
    container = started(stack, workers)
    docker("stop", "--time=60", container)
    code = inspect(container)["State"]["ExitCode"]
    docker("rm", container)
    assert code in (0, 143)  # depending on whether it was ready; 137 would mean that it was killed


def test_several_workers_run_on_a_read_only_root_without_zombies(stack: Stack) -> None:
    container = started(stack, workers=2)
    try:
        Stack.healthy(container)
        docker("exec", container, "python", "-c", KILL_A_WORKER)
        for name, number in (("worker_restarts_total", 1), ("workers", 2)):
            wait_until(partial(is_at, container, name, number), partial(docker, "logs", container))
        states = docker("top", container, "-eo", "pid,stat,args").splitlines()[1:]
        assert len([line for line in states if "service.worker" in line]) == 2
        assert not [line for line in states if line.split()[1].startswith("Z")]
    finally:
        docker("rm", "--force", container)


KILL_A_WORKER = """
import os, pathlib
words = {p.parent.name: p.read_bytes() for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")}
os.kill(min(int(pid) for pid, line in words.items() if b"service.worker" in line), 9)
"""
METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8000/metrics").read().decode())
"""


def metric(container: str, name: str) -> float:
    exposition = docker("exec", container, "python", "-c", METRICS)
    (found,) = re.findall(rf"^digitserve_{name} (\S+)$", exposition, re.MULTILINE)
    return float(found)


def is_at(container: str, name: str, number: float) -> bool:
    return metric(container, name) == number


def started(stack: Stack, workers: int) -> str:
    """A container beside the stack, with the same models and also with an init process."""
    models = f"--volume={stack.project}_models:/models:ro"
    setting = f"--env=DIGITSERVE_WORKERS={workers}"
    return docker("run", "--detach", "--init", *HARDENED, models, setting, IMAGE)

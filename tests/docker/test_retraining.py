"""docker compose --profile retraining up: a job from its request to the version that serves."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.docker.engine import wait_until
from tests.docker.stack import Stack
from tests.support import fetch
from tests.support.program import PATIENCE
from tests.support.running import ADMIN

# Of the embedded digits, from which one epoch of small steps makes a model that a few more improve.
JOB = {"data": "digits", "recipe": {"epochs": 4, "threads": 1}, "activate": "if_better"}
LONG_PATIENCE = 900.0  # seconds; a job yields to all other work on the machine


@pytest.fixture
def stack(images: None) -> Iterator[Stack]:
    running = Stack(
        TRAIN_ARGS="--data digits --epochs 1 --learning-rate 0.001",
        DIGITSERVE_JOBS="sqlite:////jobs/jobs.sqlite",
        DIGITSERVE_FEEDBACK="/feedback",
    )
    try:
        running.compose("--profile=retraining", "up", "--detach", "service", "retraining")
        running.healthy(running.service["Id"])
        yield running
    finally:
        running.down()


def test_a_job_trains_judges_and_activates_a_version(stack: Stack) -> None:
    jobs = f"{stack.url}/v1/retrain"
    answers: list[httpx2.Response] = []

    def answered() -> bool:
        answers.append(fetch.post(jobs, json=JOB, headers=ADMIN, timeout=PATIENCE))
        return answers[-1].status_code != 503  # while the worker creates the database

    wait_until(answered, lambda: stack.logs)
    answer = answers[-1]
    assert answer.status_code == 202, answer.text

    def job() -> Any:
        found = fetch.get(f"{jobs}/{answer.json()['id']}", headers=ADMIN, timeout=PATIENCE).json()
        assert found["state"] not in {"failed", "kept"}, found["reason"]
        return found

    wait_until(lambda: job()["state"] == "activated", job, LONG_PATIENCE)
    wait_until(lambda: stack.served() == str(job()["version"]), stack.status)
    assert job()["gate"]["verdict"] == "better"

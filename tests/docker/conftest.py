"""The images, built once, and a stack of containers that most tests only send requests to.

The tests remove what they start when they end; the images stay.
"""

import time
from collections.abc import Iterator

import pytest

from tests.docker.engine import tried
from tests.docker.stack import Stack

FILES = ("docker-compose.yml", "docker-compose.gpu.yml")
ALERTED = ("docker-compose.yml", "docker-compose.alerts.yml")
SCALED = ("docker-compose.yml", "docker-compose.scale.yml")


@pytest.fixture(scope="session")
def images() -> None:
    """All images, built as by `make images`."""
    answer = tried("docker", "info")
    assert answer.returncode == 0, f"these tests need a Docker engine; {answer.stderr}"
    for what, words in {
        "service, training, loadtest, sbom": ("--profile=loadtest", "--profile=sbom", "build"),
        "service-gpu": ("build", "service"),
    }.items():
        began = time.monotonic()
        Stack().compose(*words, files=FILES if what == "service-gpu" else FILES[:1])
        print(f"built {what} in {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="session")
def stack(images: None) -> Iterator[Stack]:
    """Trainer, service and Prometheus; the model is trained at the start."""
    running = Stack()
    try:
        print(f"trained and healthy in {running.up():.0f} s")
        yield running
    finally:
        running.down()

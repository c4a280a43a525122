"""The commands at the head of each example in examples/own_model serve a model of one's own."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, output_of
from tests.support import fetch
from tests.support.flowers import COLOURS, checkout_with_flowers, flower
from tests.support.running import ROOT, Service

IMAGES = 30  # of each class


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout_with_flowers(ROOT, tmp_path, IMAGES)
    return tmp_path


def commands_of(example: str) -> str:
    """The commands at the head of an example, without the last one's `serve`, which goes on."""
    head = (EXAMPLES / "own_model" / example).read_text().split('"""')[1]
    commands = "\n".join(line.strip() for line in head.splitlines() if line.startswith("    "))
    return re.sub(r"^make( export)? serve ", r"true && make\1 ", commands, flags=re.MULTILINE)


@pytest.fixture
def service(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """What the commands of an example serve."""
    commands = commands_of(request.param)
    assert commands.splitlines()[-1].startswith("true && make")
    commands = commands.replace("true && make MODEL=flowers", "")
    output_of("bash", "-euo", "pipefail", "-c", commands, folder=checkout)
    with Service.started(checkout / "models", model="flowers") as service:
        yield service
        service.send(signal.SIGTERM)


@pytest.mark.parametrize("service", ["network.py", "onnx_file.py"], indirect=True)
def test_the_commands_of_an_example_serve_its_model(service: Service) -> None:
    found = {}
    for name in COLOURS:
        answer = fetch.post(f"{service.url}/v1/predict", content=flower(name, IMAGES)).json()
        assert answer["model"]["name"] == "flowers"
        found[name] = answer["predictions"][0]["label"]
    assert found == {name: name for name in COLOURS}

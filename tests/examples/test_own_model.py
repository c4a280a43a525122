"""The commands at the head of each example in examples/own_model serve a model of one's own."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.examples.programs import EXAMPLES, output_of
from tests.support import fetch
from tests.support.pictures import encoded
from tests.support.running import ROOT, Service

COLOURS = {"rose": (230, 60, 90), "sunflower": (250, 200, 20), "violet": (110, 60, 200)}
IMAGES = 30  # of each class


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with everything that a clone has, without earlier runs and models, and images."""
    for path in ROOT.iterdir():
        if path.name not in (".git", "runs", "models", "data"):
            (tmp_path / path.name).symlink_to(path)
    for name in COLOURS:
        folder = tmp_path / "path/to/flowers" / name
        folder.mkdir(parents=True)
        for number in range(IMAGES):
            (folder / f"{number}.png").write_bytes(flower(name, number))
    return tmp_path


def flower(name: str, number: int) -> bytes:
    """A blossom of the class's colour on a noisy meadow, as PNG."""
    random = np.random.default_rng([number, *map(ord, name)])
    pixels = random.normal((60, 140, 50), 25, (48, 64, 3))
    y, x = random.uniform(16, 32, 2)
    rows, columns = np.mgrid[:48, :64]
    pixels[(rows - y) ** 2 + (columns - x) ** 2 < random.uniform(60, 160)] = COLOURS[name]
    return encoded(pixels.clip(0, 255).astype(np.uint8))


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

"""The README's commands work as they are printed there.

Only addresses are replaced, and what goes on, such as a service, is stopped in the end. `make demo`
and `make test` are run by CI.
"""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import httpx2
import pytest
import torch
from torch import nn

from contract.store import Store
from contract.version import Version
from export.runners import quiet
from tests.interop.programs import required
from tests.interop.proxy import free_port
from tests.support import fetch
from tests.support.flowers import COLOURS, checkout_with_flowers, flower
from tests.support.running import ROOT, Service, clean_environment
from tests.support.waiting import until

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
START, CURL, FOLDER, NETWORK, IMPORT = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
(SOURCE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
IN_TEXT = {
    "docker compose up",  # tests/docker runs it
    "make demo",
    "make docs-serve",
    "make notebook",  # tests/notebooks starts it and runs what it opens
    "make up",  # tests/deploy runs it without an engine
}
IMAGES = 24  # of each class


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout_with_flowers(ROOT, tmp_path, IMAGES)
    return tmp_path


def test_no_command_is_left_out() -> None:
    assert [line.split("#")[0].strip() for line in START.splitlines()] == ["make demo", "make test"]
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"`((?:make|docker|curl|pip|python|\.venv/bin/\w+) [^`]+)`", prose))
    assert named == IN_TEXT


def test_a_prediction_with_curl(published: tuple[Store, Version], tmp_path: Path) -> None:
    required("curl")
    (tmp_path / "models").symlink_to(published[0].folder.parent)
    with Service.started(published[0].folder.parent) as service:
        command = CURL.replace("http://127.0.0.1:8000", service.url)
        answer = json.loads(run(command, tmp_path))
    (printed,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    (prediction,), shown = answer["predictions"], json.loads(printed.replace("[...]", "[]"))
    assert answer["model"] == shown["model"]
    assert prediction.keys() == shown["predictions"][0].keys()


def test_the_documentation(checkout: Path) -> None:
    port = free_port()
    make = subprocess.Popen(
        ["make", "docs-serve", f"DOCS_PORT={port}"],
        cwd=checkout, env=clean_environment(), start_new_session=True,
    )  # fmt: skip

    def answered() -> bool:
        assert make.poll() is None
        try:
            return "<title>digitserve</title>" in fetch.get(f"http://127.0.0.1:{port}/").text
        except httpx2.ConnectError:
            return False

    try:
        until(answered, patience=300)
    finally:
        os.killpg(make.pid, signal.SIGTERM)
        make.wait()


def run(commands: str, checkout: Path) -> str:
    """What they print; all of them but the last one's `serve`, which goes on."""
    commands = re.sub(r"make train export serve", "make train export", commands)
    commands = re.sub(r"^make serve.*\n", "", commands, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=checkout, env=clean_environment(), check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def labels_of(checkout: Path) -> list[str]:
    """What the service that `make serve` starts answers to a new flower of each class."""

    class MadeService(Service):
        command = ("make", "serve", "MODEL=flowers")
        folder = checkout

    with MadeService.started(Path("models")) as service:
        answers = [
            fetch.post(
                f"{service.url}/v1/predict",
                content=flower(name, IMAGES),
                headers={"Content-Type": "image/png"},
            ).json()
            for name in COLOURS
        ]
        service.send(signal.SIGTERM)  # make hands it on
        service.exit_code()
    assert {answer["model"]["name"] for answer in answers} == {"flowers"}
    return [answer["predictions"][0]["label"] for answer in answers]


def test_a_folder_of_images(checkout: Path) -> None:
    run(FOLDER, checkout)
    assert labels_of(checkout) == [*COLOURS]


def test_a_network_of_ones_own(checkout: Path) -> None:
    (checkout / "flower_network.py").write_text(SOURCE)
    run(NETWORK, checkout)
    assert labels_of(checkout) == [*COLOURS]


def test_a_model_that_exists(checkout: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, len(COLOURS)),
    )  # fmt: skip
    with quiet():
        torch.onnx.export(network.eval(), (torch.zeros(1, 3, 224, 224),), checkout / "flowers.onnx")
    (checkout / "labels.txt").write_text("\n".join(COLOURS))
    run(IMPORT, checkout)
    assert set(labels_of(checkout)) <= {*COLOURS}

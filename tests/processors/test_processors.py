"""Predictions do not depend on the instruction set of the processor: QEMU emulates others.

ONNX Runtime and OpenBLAS choose their kernels by the features of the processor: the older one has
only SSE4.2, the other has AVX2 without VNNI, whose 16-bit sums of bytes can overflow.
`make test-processors` runs these tests; they need QEMU's user mode (Debian: qemu-user) on x86-64.
"""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from service.engine.providers import FILES
from tests.fixtures import Judged
from tests.support.running import ROOT, Service
from tests.support.tensors import client_of, inputs_of

OLDEST, PROCESSORS = "Nehalem", ("Nehalem", "Haswell")
SLOW = 300  # seconds; an emulated call takes some hundred times as long


@pytest.fixture(scope="module", params=PROCESSORS)
def emulator(request: pytest.FixtureRequest) -> list[str]:
    return ["qemu-x86_64", "-cpu", request.param]


@pytest.fixture(scope="module")
def here() -> Any:
    """The predictions of this processor."""
    return answers([])


def answers(emulator: list[str]) -> Any:
    command = [*emulator, sys.executable, "-m", "tests.processors.answers"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_precision_passes_the_golden_set_and_predicts_as_pytorch(
    emulator: list[str], here: Any
) -> None:
    found = answers(emulator)
    assert {name: each["different_answers"] for name, each in found.items()} == dict.fromkeys(
        FILES, 0
    )
    assert found["int8"] == here["int8"]  # integer sums are exact


def test_a_service_predicts_as_pytorch(published: tuple[Store, Version], judged: Judged) -> None:
    """On the processor with the smallest instruction set."""

    class Emulated(Service):
        command = ("qemu-x86_64", "-cpu", OLDEST, *Service.command)

    settings = {"threads": 1, "max_batch": 4, "request_timeout": SLOW}
    with (
        Emulated.started(published[0].folder.parent, **settings) as service,
        client_of(service, network_timeout=SLOW) as client,
    ):
        result = client.infer("digits", inputs_of(judged.pixels[:50]))
    np.testing.assert_allclose(result.as_numpy("logits"), judged.logits[:50], atol=1e-3)


def test_batches_of_every_size_are_predicted_as_by_pytorch(emulator: list[str]) -> None:
    """Runs the tests of the engine that depend on arithmetic."""
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "answer"]
    command = [*emulator, sys.executable, *words, "tests/service/engine/test_engine.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

"""Answers do not depend on the instructions of the processor: QEMU plays others.

ONNX Runtime and OpenBLAS choose their kernels by what a processor has: the oldest here has SSE4.2
alone, the others AVX2 without VNNI, whose sums of bytes are of 16 bits and can overflow.
`make test-processors` runs these tests; they need QEMU's user mode (Debian: qemu-user) on x86-64.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.running import ROOT, clean_environment

QEMU = "qemu-x86_64"
PROCESSORS = ("Nehalem", "Haswell", "max")
# What depends on arithmetic, or serves a model that does.
FILES = ("test_engine", "test_speed", "test_model", "test_infer")


@pytest.fixture(scope="module", params=PROCESSORS)
def processor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def answers(*emulator: str) -> dict[str, Any]:
    done = subprocess.run(
        [*emulator, sys.executable, "-m", "tests.processors.answers"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    """What this processor answers."""
    return answers()


def test_every_precision_passes_the_golden_set_and_answers_as_pytorch(
    processor: str, here: dict[str, Any]
) -> None:
    found = answers(QEMU, "-cpu", processor)
    assert {name: each["different_answers"] for name, each in found.items()} == {
        "fp32": 0,
        "fp16": 0,
        "int8": 0,
    }
    assert found["int8"] == here["int8"]  # sums of integers are exact


@pytest.mark.parametrize("file", FILES)
def test_tests_that_depend_on_arithmetic_pass(processor: str, file: str, tmp_path: Path) -> None:
    """With the services that they start."""
    python = tmp_path / "python"
    emulated = shlex.join([QEMU, "-cpu", processor, sys.executable])
    python.write_text(f'#!/bin/sh\nexec {emulated} "$@"\n')
    python.chmod(0o755)
    words = ["-m", "pytest", "-q", "-p", "tests.processors.emulated", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [python, *words, f"tests/service/{file}.py"],
        cwd=ROOT,
        env=clean_environment() | {"EMULATED_PYTHON": str(python), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The engine without HTTP: `python -m service.engine.benchmark`, and what it found."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loadtest.errors import CannotMeasure, NoProvider

ROOT = Path(__file__).parent.parent.parent
PRECISIONS = ("fp32", "fp16")
NO_PROVIDER = 2  # its exit code
ROUNDS = 5


@dataclass(frozen=True)
class Engine:
    """The lists are as service.engine.benchmark writes them: a dict a row."""

    onnxruntime: str  # version
    results: list[dict[str, Any]]  # a row for each precision, way and bucket
    gpu: list[dict[str, Any]]  # how busy it was, a row for each precision and way
    left_out: list[str]  # what does not run here, and why


def measured(models: Path, name: str, provider: str, *, max_batch: str, seconds: float) -> Engine:
    """NoProvider with its sentence if that does not run here."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "speed.json"
        words = [sys.executable, "-m", "service.engine.benchmark", "--provider", provider]
        words += ["--models", str(models.resolve()), "--model", name, "--json", str(file)]
        words += ["--precision", *PRECISIONS, "--max-batch", max_batch]
        words += ["--rounds", str(ROUNDS), "--seconds", str(seconds)]
        done = subprocess.run(  # noqa: S603
            words,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        said = done.stderr.strip()
        if done.returncode == NO_PROVIDER:
            raise NoProvider(said.rpartition("service.engine.benchmark: ")[2])
        if done.returncode:
            raise CannotMeasure(
                f"service.engine.benchmark ended with {done.returncode}:\n{said[-2000:]}"
            )
        document = json.loads(file.read_text())
    return Engine(
        document["onnxruntime"], document["results"], document["gpu"], document["left_out"]
    )

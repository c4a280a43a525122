"""The decoder and the network without a server: python -m loadtest.bench.limits MODELS NAME SECONDS

Prints CPU seconds a picture, on one thread: OpenCV decoding PNG after PNG, and ONNX Runtime given
as many pictures a call as the service gives it at most, and one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from loadtest.client.requests import Pictures
from loadtest.errors import CannotMeasure
from loadtest.host.machine import on

ROOT = Path(__file__).parent.parent.parent
BATCH = 64  # pictures a call

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Limits:
    """CPU seconds a picture."""

    decode: float
    network: float  # BATCH a call
    network_alone: float  # one a call


def measured_apart(models: Path, name: str, seconds: float, *, core: int) -> Limits:
    """In a process of its own, so that nothing of the bench's is in its way."""
    words = [
        sys.executable,
        "-m",
        "loadtest.bench.limits",
        str(models.resolve()),
        name,
        str(seconds),
    ]
    with on(core):
        done = subprocess.run(  # noqa: S603
            words,
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise CannotMeasure(f"the limits cannot be measured: {done.stderr.strip()}")
    return Limits(**json.loads(done.stdout))


def measure(pictures: Pictures, seconds: float) -> Limits:
    network = network_of(pictures.graph)
    batch, alone = pictures.batch(BATCH), pictures.batch(1)

    def decode() -> None:
        for png in pictures.pngs:
            cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)

    return Limits(
        decode=_cpu(decode, seconds) / len(pictures.pngs),
        network=_cpu(lambda: network(batch), seconds) / BATCH,
        network_alone=_cpu(lambda: network(alone), seconds),
    )


def network_of(graph: Path) -> Callable[[Pixels], Any]:
    """pixels (n, 28, 28) -> logits, probabilities (n, labels), on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(["logits", "probabilities"], {"pixels": pixels})


def _cpu(work: Callable[[], object], seconds: float) -> float:
    """CPU seconds of one call, the mean of as many as fit."""
    work()  # the first one allocates
    calls, began, end = 0, time.process_time(), time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        work()
        calls += 1
    return (time.process_time() - began) / calls


if __name__ == "__main__":
    cv2.setNumThreads(1)
    found = Pictures.of_current(Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(asdict(measure(found, float(sys.argv[3])))))

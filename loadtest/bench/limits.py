"""The decoder and the network without a server: python -m loadtest.bench.limits MODELS NAME SECONDS

Prints CPU seconds a picture, on one thread: OpenCV decoding PNG after PNG, and ONNX Runtime given
as many pictures a call as the service gives it at most, and one.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from loadtest.bench.peers.answers import network_of
from loadtest.client.requests import Pictures
from loadtest.host.machine import on
from loadtest.host.processes import run

BATCH = 64  # pictures a call


@dataclass(frozen=True)
class Limits:
    """CPU seconds a picture."""

    decode: float
    network: float  # BATCH a call
    network_alone: float  # one a call


def measured_apart(models: Path, name: str, seconds: float, *, core: int) -> Limits:
    """Measure in a process of its own, undisturbed by the bench."""
    program = (sys.executable, "-m", "loadtest.bench.limits")
    with on(core):
        done = run(*program, str(models.resolve()), name, str(seconds))
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


def _cpu(work: Callable[[], object], seconds: float) -> float:
    """CPU seconds of one call, the mean of as many as fit into the time."""
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

"""The decoder and the network without a server: python -m loadtest.bench.limits MODELS NAME SECONDS

Prints CPU seconds an image, on one thread: OpenCV decoding PNG after PNG of digits, or any file
decoded and prepared as the model's card says; and ONNX Runtime given as many images a call as the
service gives it at most, and one. WIDTH and HEIGHT may follow: the files are JPEGs of that size.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from loadtest.bench.peers.answers import MOST, network_of
from loadtest.client.requests import SampleImages
from loadtest.host.machine import on
from loadtest.host.processes import run

BATCH = 64  # images a call


@dataclass(frozen=True)
class Limits:
    """CPU seconds an image."""

    decode: float  # and to prepare it, unless it is a digit
    network: float  # BATCH a call
    network_alone: float  # one a call


def measured_apart(
    models: Path, name: str, seconds: float, *, core: int, jpeg: Sequence[int] = ()
) -> Limits:
    """Measure in a process of its own, undisturbed by the bench."""
    program = (sys.executable, "-m", "loadtest.bench.limits")
    with on(core):
        done = run(*program, str(models.resolve()), name, str(seconds), *map(str, jpeg))
    return Limits(**json.loads(done.stdout))


def measure(images: SampleImages, seconds: float) -> Limits:
    network = network_of(images.graph)
    batch, alone = images.batch(BATCH), images.batch(1)

    are_digits = images.prepare.preparation.kind == "digit"

    def decode() -> None:
        for file in images.files:
            if are_digits:
                cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
            else:
                images.prepare.file(file, max_pixels=MOST)

    return Limits(
        decode=_cpu(decode, seconds) / len(images.files),
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
    found = SampleImages.of_current(Path(sys.argv[1]), sys.argv[2])
    if jpeg := [int(side) for side in sys.argv[4:]]:
        found = found.as_jpegs(*jpeg)
    print(json.dumps(asdict(measure(found, float(sys.argv[3])))))

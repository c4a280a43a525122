"""How long a model takes to answer: python -m export.speed

Medians of the model alone, without HTTP: pixels in, probabilities out, one thread. The command
prints pictures a second for every ONNX artifact of a version.
"""

import statistics
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from contract.card import SIDE
from contract.errors import StoreError
from contract.provenance import processor
from contract.store import Store
from export.runners import Model, onnx_runtime

SECONDS = 2.0  # of measuring, for each batch size
BATCHES = (1, 8, 64)  # pictures a call


def main(words: list[str] | None = None) -> int:
    parser = ArgumentParser("python -m export.speed", description=__doc__)
    parser.add_argument("--models", type=Path, metavar="DIR", default=Path("models"))
    parser.add_argument("--name", default="digits", help="of the model; default: digits")
    parser.add_argument("--version", type=int, metavar="N", help="default: the current one")
    arguments = parser.parse_args(words)
    try:
        version = Store(arguments.models, arguments.name).open(arguments.version)
    except StoreError as error:
        print(f"export.speed: {error}", file=sys.stderr)
        return 1
    card = version.card
    print(f"{version.folder}: {card.network}, {card.parameters:,} parameters, on {processor()}")
    for name in (name for name in card.parity if name.endswith(".onnx")):
        model = onnx_runtime(version.folder / name)
        for batch in BATCHES:
            call = latency(model, batch, SECONDS)
            print(
                f"{name:16} {batch:3} a call {call * 1e6:7.0f} us {batch / call:9,.0f} pictures/s"
            )
    return 0


def latency(model: Model, batch: int, seconds: float = 0.1) -> float:
    """Median seconds of one call with `batch` pictures of noise, measured for `seconds`."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, SIDE, SIDE), np.uint8)
    model(pixels)  # the first call allocates
    calls: list[float] = []
    end = time.perf_counter() + seconds
    while not calls or time.perf_counter() < end:
        began = time.perf_counter()
        model(pixels)
        calls.append(time.perf_counter() - began)
    return statistics.median(calls)


if __name__ == "__main__":
    sys.exit(main())

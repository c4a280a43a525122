"""How many pictures a second a model version answers on one core: python -m export.speed

Medians of ONNX Runtime alone, without HTTP: pixels in, probabilities out, one thread.
"""

import statistics
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import onnxruntime

from contract.card import INPUT, ONNX
from contract.store import BadName, BrokenVersion, NoVersion, Store

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
    except (BadName, BrokenVersion, NoVersion) as error:
        print(f"export.speed: {error}", file=sys.stderr)
        return 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        version.read(ONNX), options, providers=["CPUExecutionProvider"]
    )
    print(f"{version.folder}: {version.card.network}, {version.card.parameters:,} parameters")
    for batch in BATCHES:
        call = _median_call(session, batch)
        print(f"  {batch:3} a call   {call * 1e6:7.0f} us   {batch / call:9,.0f} pictures/s")
    return 0


def _median_call(session: onnxruntime.InferenceSession, batch: int) -> float:
    """Seconds of one call with `batch` pictures of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, 28, 28), np.uint8)
    calls, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        session.run(None, {INPUT: pixels})
        calls.append(time.perf_counter() - began)
    return statistics.median(calls)


if __name__ == "__main__":
    sys.exit(main())

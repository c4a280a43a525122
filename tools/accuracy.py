"""Post every test digit to a real service, one PNG per request, and compare with PyTorch.

    python -m tools.accuracy [--at-least 0.995]

Starts `python -m service` on a free port, posts the 10,000 test digits of MNIST_DIR (without it:
the test set of the run) over four connections and prints how many predictions were correct, how
many differ from those of the checkpoint in PyTorch for the same digits, prepared as the service
prepares them, and the latency. Exits with 1 if a prediction differs or if the accuracy is below
--at-least.
"""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from contract.command_line import program
from contract.store import Store
from loadtest.arguments import fraction
from tests.support.running import Service
from training.data import read_mnist
from training.evaluate import logits_of
from training.run import Run

CONNECTIONS = 4


def main(words: Sequence[str] | None = None) -> int:
    parser = program("tools.accuracy", __doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument(
        "--at-least", type=fraction, default=0.0, help="share that must be classified correctly"
    )
    arguments = parser.parse_args(words)

    models = arguments.models.resolve()  # the service starts in another folder
    version = Store(models, "digits").open()
    if version.card.run is None or version.card.data_set is None:
        raise SystemExit(f"{version.folder} was imported: there is no run to compare it with")
    run = Run(arguments.runs / version.card.run)
    pixels, labels = test_set(run)
    checkpoint = run.checkpoint()
    # One of MNIST's test digits has no gray levels, and is not passed through as it is.
    prepared = np.stack([checkpoint.prepare(picture) for picture in pixels])
    expected = logits_of(checkpoint.build(), torch.tensor(prepared)).argmax(1).numpy()
    with Service.started(models) as service, ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = np.array_split(pixels, CONNECTIONS)
        began = time.perf_counter()
        answers = np.concatenate(list(pool.map(lambda part: posted(service, part), parts)))
        seconds = time.perf_counter() - began

    right, different = int((answers == labels).sum()), int((answers != expected).sum())
    print(
        f"{right:,} of {len(labels):,} digits classified correctly ({right / len(labels):.2%}), "
        f"{different} answers other than PyTorch's, {seconds / len(labels) * 1e3:.2f} ms an image "
        f"over {CONNECTIONS} connections; model {version.folder}, trained on "
        f"{version.card.data_set.name}"
    )
    return int(different > 0 or right < arguments.at_least * len(labels))


def test_set(run: Run) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    folder = os.environ.get("MNIST_DIR")
    return read_mnist(Path(folder)).test if folder else run.test_set()


def posted(service: Service, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """The predictions of the service for images (n, 28, 28), requested sequentially."""
    answers = []
    with service.client(headers={"Content-Type": "image/png"}) as client:
        for picture in pictures:
            png = cv2.imencode(".png", picture)[1].tobytes()
            response = client.post("/v1/predict", content=png)
            response.raise_for_status()
            answers.append(response.json()["predictions"][0]["digit"])
    return np.array(answers)


if __name__ == "__main__":
    sys.exit(main())

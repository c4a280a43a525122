"""Write a submission for Kaggle's Digit Recognizer from its test.csv, by a running service.

    pip install numpy "tritonclient[http]"
    python examples/kaggle/submission.py http://127.0.0.1:8000 digits test.csv submission.csv

test.csv has the columns pixel0 to pixel783, a line for each image of 28x28 gray pixels. The file
that is written has the columns ImageId, from 1, and Label. To train on Kaggle's own images first:

    make train export serve ARGS="--data train.csv"
"""

import csv
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from numpy.typing import NDArray

SIDE = 28  # pixels
BATCH = 256  # images in a request: DIGITSERVE_MAX_PICTURES


def read(path: Path) -> NDArray[np.uint8]:
    """The images of a test.csv, (n, 28, 28)."""
    with path.open() as file:
        columns = file.readline().strip().split(",")
        if columns != [f"pixel{number}" for number in range(SIDE * SIDE)]:
            sys.exit(f"{path} has other columns than pixel0 to pixel783: is it Kaggle's test.csv?")
        rows: NDArray[np.uint8] = np.loadtxt(file, np.uint8, delimiter=",", ndmin=2)
    return rows.reshape(-1, SIDE, SIDE)


def labels_of(url: str, model: str, images: NDArray[np.uint8]) -> list[str]:
    """The likeliest label of each image (n, 28, 28)."""
    best = triton.InferRequestedOutput("probabilities", class_count=1)
    labels = []
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        for start in range(0, len(images), BATCH):
            pixels = images[start : start + BATCH]
            tensor = triton.InferInput("pixels", pixels.shape, "UINT8")
            tensor.set_data_from_numpy(pixels)
            result = client.infer(model, [tensor], outputs=[best])
            # (n, 1) texts "probability:index:label"
            texts = result.as_numpy("probabilities")[:, 0]
            labels += [text.decode().split(":", 2)[2] for text in texts]
    return labels


def main(url: str, model: str, test: str, submission: str) -> None:
    labels = labels_of(url, model, read(Path(test)))
    with Path(submission).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ImageId", "Label"])
        writer.writerows(enumerate(labels, start=1))
    print(f"{submission}: {len(labels):,} labels")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: python submission.py URL MODEL test.csv submission.csv")
    main(*sys.argv[1:])

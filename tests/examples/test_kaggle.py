"""examples/kaggle/submission.py writes what Kaggle's Digit Recognizer expects."""

import csv
from pathlib import Path

import numpy as np

from tests.examples.programs import command_of, output_of, run
from tests.fixtures import Judged
from tests.support.running import Service


def test_a_submission_has_the_label_of_each_image(
    service: Service, judged: Judged, tmp_path: Path
) -> None:
    images = np.concatenate([judged.pixels, judged.pixels[:100]])  # more than one request's
    header = ",".join(f"pixel{number}" for number in range(784))
    np.savetxt(
        tmp_path / "test.csv", images.reshape(-1, 784), "%d", delimiter=",", header=header,
        comments="",
    )  # fmt: skip
    words = [service.url, "digits", "test.csv", "submission.csv"]
    printed = output_of(*command_of("kaggle/submission.py"), *words, folder=tmp_path)
    assert printed == "submission.csv: 300 labels\n"
    with (tmp_path / "submission.csv").open() as file:
        rows = list(csv.reader(file))
    expected = [*judged.digits, *judged.digits[:100]]
    assert rows == [
        ["ImageId", "Label"],
        *([str(number), str(digit)] for number, digit in enumerate(expected, start=1)),
    ]


def test_another_file_than_kaggles_is_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,pixel0\n7,0\n")
    words = [service.url, "digits", "train.csv", "submission.csv"]
    done = run(*command_of("kaggle/submission.py"), *words, folder=tmp_path)
    assert done.returncode != 0
    assert done.stderr == (
        "train.csv has other columns than pixel0 to pixel783: is it Kaggle's test.csv?\n"
    )

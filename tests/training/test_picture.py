"""Any picture becomes what the network has learned to see; a clean one, as the service makes it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from preprocessing.digits.normalize import as_mnist as service_ink
from training.embedded import written_digits
from training.picture import BadPicture, as_mnist, as_pixels

DIGITS = written_digits()[0]  # (1797, 28, 28) uint8, as MNIST
SEVEN = DIGITS[7]


def drawn(size: int, pen: int, at: tuple[int, int], paper: int, ink: int) -> np.ndarray[Any, Any]:
    """A 2 drawn on a sheet (size, size), its upper left corner at `at`."""
    sheet = np.full((size, size), paper, np.uint8)
    points = np.array([[0, 20], [20, 0], [60, 5], [70, 35], [5, 95], [75, 95]]) * size // 200
    return cv2.polylines(sheet, [points + at], False, ink, pen, cv2.LINE_AA)


@pytest.mark.parametrize(
    "sheet",
    [
        drawn(280, 20, (30, 20), 0, 255),
        drawn(280, 9, (150, 130), 255, 0),
        drawn(1000, 60, (400, 100), 230, 40),
        drawn(64, 5, (5, 20), 20, 200),
        cv2.resize(SEVEN, (20, 20)),
        SEVEN,
        255 - SEVEN,
    ],
    ids=["drawn", "in a corner", "large, gray", "small", "20x20", "as MNIST", "inverted"],
)
def test_a_clean_picture_becomes_nearly_what_the_service_makes_of_it(
    sheet: np.ndarray[Any, Any],
) -> None:
    """Not to the pixel: each finds in its own way where soft edges end, and rounds accordingly."""
    ours, services = as_mnist(sheet), service_ink(sheet)
    moves = [(y, x) for y in (0, 1, -1) for x in (0, 1, -1)]
    shifted = (np.roll(ours, move, (0, 1)) for move in moves)
    assert max(np.corrcoef(each.ravel(), services.ravel())[0, 1] for each in shifted) > 0.9


def test_the_service_leaves_the_digits_that_come_with_scikit_learn_as_they_are() -> None:
    assert all(service_ink(picture) is picture for picture in DIGITS)


def test_a_file_an_image_an_array_and_a_tensor_are_the_same_picture(tmp_path: Path) -> None:
    Image.fromarray(SEVEN).save(tmp_path / "seven.png")
    kinds = [
        tmp_path / "seven.png",
        str(tmp_path / "seven.png"),
        Image.fromarray(SEVEN),
        Image.fromarray(SEVEN).convert("RGB"),
        SEVEN,
        SEVEN / 255,
        np.stack([SEVEN] * 3, -1),
        torch.tensor(SEVEN),
        torch.tensor(SEVEN).unsqueeze(0) / 255,
        torch.tensor(SEVEN).expand(3, 28, 28),
    ]
    for picture in kinds:
        np.testing.assert_array_equal(as_pixels(picture), SEVEN)


def test_ink_on_a_transparent_sheet_is_seen() -> None:
    rgba = np.zeros((28, 28, 4), np.uint8)
    rgba[..., 3] = SEVEN  # black ink, its strength in the alpha channel
    np.testing.assert_array_equal(as_pixels(Image.fromarray(rgba)), as_mnist(255 - SEVEN))


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (np.zeros((28, 28), np.uint8), "it is blank"),
        (np.zeros((3, 4, 5, 6), np.uint8), r"an array of shape \(3, 4, 5, 6\) is no picture"),
        (np.zeros((0, 28), np.uint8), r"an array of shape \(0, 28\) is no picture"),
        (np.full((28, 28), 300), "an array of int64 from 300 to 300 is no picture"),
        (np.full((28, 28), np.nan), "from nan to nan is no picture"),
        (np.full((28, 28), -1.0), "is no picture: whole numbers are 0..255, fractions 0..1"),
    ],
    ids=["blank", "four dimensions", "empty", "too large", "not a number", "negative"],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray[Any, Any], complaint: str) -> None:
    with pytest.raises(BadPicture, match=complaint):
        as_pixels(picture)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"\x89PNG and then nothing")
    with pytest.raises(BadPicture, match=r"no\.png is no readable picture"):
        as_pixels(tmp_path / "no.png")
    with pytest.raises(FileNotFoundError):
        as_pixels(tmp_path / "absent.png")

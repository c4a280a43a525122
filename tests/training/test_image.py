"""Files, PIL images, arrays and tensors are converted to the pixels that the network expects."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from contract.card import StretchPreparation
from preprocessing.preparation import preparer_of
from training.embedded import written_digits
from training.image import BadImage, as_pixels

DIGITS = written_digits()[0]  # (1797, 28, 28) uint8, as MNIST
SEVEN = DIGITS[7]


def test_the_digits_of_scikit_learn_are_unchanged() -> None:
    assert all(np.array_equal(as_pixels(picture), picture) for picture in DIGITS[:200])


def test_a_file_an_image_an_array_and_a_tensor_give_the_same_pixels(tmp_path: Path) -> None:
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
        torch.tensor(SEVEN).reshape(1, 1, 28, 28) / 255,
        (torch.tensor(SEVEN).unsqueeze(0) / 255 - 0.1307) / 0.3081,
        ((SEVEN / 255 - 0.1307) / 0.3081).reshape(1, 1, 28, 28).astype(np.float32),
    ]
    for picture in kinds:
        np.testing.assert_array_equal(as_pixels(picture), SEVEN)


def test_ink_on_a_transparent_background_is_read() -> None:
    rgba = np.zeros((28, 28, 4), np.uint8)
    rgba[..., 3] = SEVEN  # black ink whose intensity is in the alpha channel
    assert np.corrcoef(as_pixels(Image.fromarray(rgba)).ravel(), SEVEN.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((28, 28), np.uint8), "the image is blank"),
        (np.zeros((3, 4, 5, 6), np.uint8), r"an array of shape \(3, 4, 5, 6\) is not \(h, w\)"),
        (np.zeros((0, 28), np.uint8), r"an array of shape \(0, 28\) is not \(h, w\)"),
        (np.full((28, 28), 300), "an array of int64 from 300 to 300 is not an image"),
        (np.full((28, 28), np.nan), "from nan to nan is not an image"),
        (np.full((28, 28), -1.0), "is not an image: integers must be 0..255, floats 0..1, or from"),
        (np.linspace(-0.42, 3, 784).reshape(28, 28), "is not an image"),
    ],
    ids=[
        "blank",
        "four dimensions",
        "empty",
        "too large",
        "not a number",
        "negative",
        "too bright",
    ],
)
def test_invalid_images_are_rejected(picture: np.ndarray[Any, Any], message: str) -> None:
    with pytest.raises(BadImage, match=message):
        as_pixels(picture)


def test_a_network_for_colours_reads_every_kind_in_rgb(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    prepare = preparer_of(StretchPreparation(size=(32, 32)), (32, 32, 3))
    expected = np.asarray(Image.fromarray(photo).resize((32, 32), Image.Resampling.BILINEAR))
    tensor = torch.tensor(photo).permute(2, 0, 1)  # (3, 40, 60)
    for kind in (tmp_path / "photo.png", photo, photo / 255, tensor, (tensor / 255).unsqueeze(0)):
        np.testing.assert_array_equal(as_pixels(kind, prepare), expected)
    gray = as_pixels(photo[..., 0], prepare)
    assert (gray == gray[..., :1]).all()


def test_only_digits_may_be_normalised() -> None:
    prepare = preparer_of(StretchPreparation(size=(28, 28)), (28, 28))
    normalised = (SEVEN / 255 - 0.1307) / 0.3081
    given = r"from -0\.42421 to 2\.8215 is not an image: integers must be 0..255, floats 0..1$"
    with pytest.raises(BadImage, match=given):
        as_pixels(normalised, prepare)
    with pytest.raises(BadImage, match=given):
        as_pixels(np.stack([normalised] * 3))
    with pytest.raises(BadImage, match=given):
        as_pixels(normalised, labels=("seven", "another letter"))
    np.testing.assert_array_equal(as_pixels(SEVEN / 255, prepare), SEVEN)


def test_the_error_names_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"\x89PNG and then nothing")
    with pytest.raises(BadImage, match=r"no\.png is not a readable image"):
        as_pixels(tmp_path / "no.png")
    with pytest.raises(FileNotFoundError):
        as_pixels(tmp_path / "absent.png")

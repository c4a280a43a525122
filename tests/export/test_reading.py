"""The proof begins at image files: the service must read them as the network was tested."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.card import (
    DigitPreparation,
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from export.proof import ProofFailed
from export.reading import as_served
from training.embedded import written_digits

SIZE = (24, 20)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("colours", [(), (3,)], ids=["gray", "colour"])
@pytest.mark.parametrize(
    "preparation",
    [
        StretchPreparation(size=SIZE),
        LetterboxPreparation(size=SIZE),
        PhotoPreparation(resize=24, size=SIZE),
        PhotoPreparation(resize=31, size=SIZE),
    ],
    ids=["stretch", "letterbox", "photo", "photo, of which the middle is cut out"],
)
def test_prepared_images_are_read_from_files_as_they_are(
    preparation: Preparation, colours: tuple[int, ...]
) -> None:
    pixels = noise(30, *SIZE, *colours)
    assert as_served(pixels, preparation) is pixels


def test_digits_that_were_prepared_are_read_as_they_are() -> None:
    pixels, _ = written_digits()
    assert np.array_equal(as_served(pixels[:300], DigitPreparation()), pixels[:300])


def test_images_that_were_not_prepared_are_refused() -> None:
    """As in an IDX file of other things than digits."""
    pixels = np.zeros((50, 28, 28), np.uint8)
    pixels[:, 2:26, 2:12] = 200
    message = r"would read 50 of 50 test images otherwise .*'digit'.*--preparation stretch"
    with pytest.raises(ProofFailed, match=message):
        as_served(pixels, DigitPreparation())


def test_the_few_that_differ_are_measured_as_they_are_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pixels, _ = written_digits()
    pixels = pixels[:300].copy()
    pixels[7] = 0  # the service refuses a blank image
    pixels[9] = np.roll(pixels[9], 6, 1)
    read = as_served(pixels, DigitPreparation())
    assert np.flatnonzero((read != pixels).any((1, 2))).tolist() == [9]
    assert "1 of 300 test images are read otherwise" in capsys.readouterr().err

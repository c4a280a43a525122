"""Any image becomes the pixels that the model card describes."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Transpose

from contract.card import (
    DigitPreparation,
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from preprocessing.decoder import identify, small_png
from preprocessing.encoding import png_of
from preprocessing.preparation import preparer_of
from tests.preprocessing.scenes import ORIENTATION, scenes

LIMIT = 10**8  # pixels
PHOTO = PhotoPreparation(resize=256, size=(224, 224))
LETTERBOX = LetterboxPreparation(size=(60, 90), fill=7)
STRETCH = StretchPreparation(size=(40, 30), interpolation="bicubic")
ALL: list[Preparation] = [PHOTO, LETTERBOX, STRETCH]
# What turns an upright image into one that its EXIF orientation says is upright.
STORED = {
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_90, 7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}  # fmt: skip


def prepared(image: Image.Image, how: Preparation, *, gray: bool = False, **options: Any) -> Any:
    file = BytesIO()
    image.save(file, options.pop("kind", "PNG"), **options)
    shape = how.size if gray else (*how.size, 3)
    return preparer_of(how, shape).file(file.getvalue(), max_pixels=LIMIT)


def scene(width: int, height: int) -> Image.Image:
    """A smooth image in which no two corners are alike."""
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [250, 250, 0]]], np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("how", ALL, ids=lambda how: how.kind)
@pytest.mark.parametrize("gray", [False, True], ids=["colour", "gray"])
def test_images_of_any_format_size_and_mode_get_the_shape_of_the_card(
    how: Preparation, gray: bool
) -> None:
    shape = how.size if gray else (*how.size, 3)
    prepare = preparer_of(how, shape)
    for each in scenes(60):
        pixels = prepare.file(each.body, max_pixels=LIMIT)
        assert pixels.shape == shape, each.name
        assert pixels.dtype == np.uint8, each.name


@pytest.mark.parametrize(
    "size", [(640, 480), (300, 500), (257, 256), (100, 80), (224, 224), (333, 777)]
)
def test_a_photo_is_resized_and_cropped_exactly_as_by_torchvision(size: tuple[int, int]) -> None:
    from training.vision import torchvision

    transforms = torchvision().transforms
    image = noise(*size)
    expected = transforms.CenterCrop(224)(transforms.Resize(256)(image))
    assert np.array_equal(prepared(image, PHOTO), np.asarray(expected))


@pytest.mark.parametrize("size", [(200, 10), (40, 40), (3, 250)])
def test_a_small_png_has_the_same_pixels_whichever_decoder_reads_it(size: tuple[int, int]) -> None:
    how = LetterboxPreparation(size=(8, 8))
    file = BytesIO()
    scene(*size).save(file, "PNG")
    prepare = preparer_of(how, (8, 8, 3))
    raster = small_png(file.getvalue(), LIMIT)
    assert raster is not None
    picture = identify(file.getvalue(), max_pixels=LIMIT, reduction=prepare.reduction)
    assert np.array_equal(prepare(raster), prepare(picture.raster()))


def test_enlarging_a_small_image_counts_as_memory() -> None:
    file = BytesIO()
    noise(4, 1).save(file, "PNG")
    large = preparer_of(PhotoPreparation(resize=1024, size=(1024, 1024)), (1024, 1024, 3))
    picture = identify(file.getvalue(), max_pixels=LIMIT, reduction=large.reduction)
    assert picture.memory > 1024 * 4096 * 3 * 3


def test_only_the_middle_of_a_ribbon_is_scaled() -> None:
    assert prepared(scene(9000, 2), PHOTO).shape == (224, 224, 3)


def test_a_letterbox_holds_the_whole_image_in_its_proportions() -> None:
    pixels = prepared(scene(200, 50), LETTERBOX)  # 90 x 22 of 90 x 60
    rows = np.flatnonzero((pixels != 7).any((1, 2)))
    assert (rows.min(), rows.max() + 1) == (19, 41)
    assert (pixels[:19] == 7).all()
    assert np.abs(pixels[19, 0].astype(int) - [255, 0, 0]).max() < 12
    assert np.abs(pixels[40, -1].astype(int) - [250, 250, 0]).max() < 12


def test_stretching_keeps_the_corners() -> None:
    pixels = prepared(scene(50, 400), STRETCH).astype(int)
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners - [[255, 0, 0], [0, 255, 0], [0, 0, 255], [250, 250, 0]]).max() < 12


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("how", ALL, ids=lambda how: how.kind)
def test_images_are_upright_by_exif(how: Preparation, orientation: int) -> None:
    upright, exif = scene(96, 64), Image.Exif()
    exif[ORIENTATION] = orientation
    stored = upright.transpose(STORED[orientation])
    assert np.array_equal(prepared(stored, how, exif=exif), prepared(upright, how))


def test_transparent_parts_are_white() -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:, 4:] = 200, 100, 50, 255
    clear[0, 0] = 0, 0, 0, 128
    how = StretchPreparation(size=(8, 8))
    pixels = prepared(Image.fromarray(clear), how)
    assert (pixels[1:, :4] == 255).all()
    assert (pixels[:, 4:] == [200, 100, 50]).all()
    assert (pixels[0, 0] == 127).all()
    assert (prepared(Image.fromarray(clear), how, gray=True)[1:, :4] == 255).all()


def test_gray_images_are_gray_in_colour_too() -> None:
    gray = scene(50, 40).convert("L")
    pixels = prepared(gray, STRETCH)
    assert (pixels == pixels[..., :1]).all()
    assert np.array_equal(pixels[..., 0], prepared(gray, STRETCH, gray=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("how", ALL, ids=lambda how: how.kind)
def test_reducing_a_large_image_while_it_is_decoded_changes_little(
    how: Preparation, kind: str
) -> None:
    image = noise(15, 10).resize((2250, 1500), Image.Resampling.BICUBIC)
    file = BytesIO()
    image.save(file, kind, quality=95, compress_level=1)
    decoded = np.asarray(Image.open(file).convert("RGB"))[..., ::-1]
    prepare = preparer_of(how, (*how.size, 3))
    exact: NDArray[np.int64] = prepare(decoded).astype(int)
    assert np.abs(prepare.file(file.getvalue(), max_pixels=LIMIT) - exact).mean() < 3


def test_a_model_of_digits_reads_them_normalized() -> None:
    drawing = np.full((200, 100, 3), 250, np.uint8)
    drawing[30:170, 45:55] = 20
    pixels = preparer_of(DigitPreparation(), (28, 28))(drawing)
    assert pixels.shape == (28, 28)
    rows, columns = np.nonzero(pixels)
    assert (rows.min(), rows.max()) == (4, 23)  # 20 pixels high, white on black
    assert 12 <= columns.min() <= columns.max() <= 16


def test_equal_preparations_have_the_same_preparer() -> None:
    again = PhotoPreparation(resize=256, size=(224, 224))
    assert preparer_of(again, (224, 224, 3)) is preparer_of(PHOTO, (224, 224, 3))
    assert preparer_of(again, (224, 224)) is not preparer_of(PHOTO, (224, 224, 3))


@pytest.mark.parametrize("gray", [False, True], ids=["colour", "gray"])
@pytest.mark.parametrize(
    "how",
    [PHOTO, PhotoPreparation(resize=31, size=(24, 20)), PhotoPreparation(resize=24, size=(24, 5))],
    ids=["square", "odd", "as tall as it is scaled to"],
)
def test_a_photo_with_a_margin_is_prepared_to_its_pixels(how: PhotoPreparation, gray: bool) -> None:
    shape = how.size if gray else (*how.size, 3)
    prepare = preparer_of(how, shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    photo = prepare.with_margin(pixels)
    assert photo.shape[:2] == (how.resize, how.resize)
    assert np.array_equal(prepare.file(png_of(photo), max_pixels=LIMIT), pixels)

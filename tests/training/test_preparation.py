"""Size, colours and preparation suit the images, or are those that were asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from contract.card import (
    DigitPreparation,
    LetterboxPreparation,
    PhotoPreparation,
    Preparation,
    StretchPreparation,
)
from preprocessing.preparation import preparer_of
from training.__main__ import main
from training.api import MNISTClassifier
from training.data import DataSet, find_data_set, find_test_images
from training.embedded import written_digits
from training.idx import BadData
from training.reading import Reading

Raster = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(0)


def read(path: Path, **options: Any) -> DataSet:
    return find_data_set(path, root=path.parent / "data", reading=Reading.of(**options))


def write(folder: Path, draw: Callable[[int], Raster], classes: int = 2, count: int = 12) -> Path:
    """`count` PNG files for each class, drawn by its number."""
    for label in range(classes):
        (folder / f"class {label}").mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"class {label}" / f"{number}.png"), draw(label))
    return folder


def write_idx(folder: Path, draw: Callable[[int], Raster], train: int = 400) -> Path:
    """IDX files of two classes, drawn by their numbers."""
    for part, count in (("train", train), ("t10k", 20)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        pixels = np.stack([draw(int(label)) for label in labels])
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            folder.mkdir(exist_ok=True)
            (folder / f"{part}-{kind}-ubyte").write_bytes(content)
    return folder


def patch(label: int, side: int = 64) -> Raster:
    """A patch of one colour at any place in noise: blue, green or red."""
    image = RANDOM.integers(0, 256, (side, side, 3), np.uint8)
    top, left = RANDOM.integers(0, side // 2, 2)
    image[top : top + side // 2, left : left + side // 2] = 0
    brightness = RANDOM.integers(100, 256)
    image[top : top + side // 2, left : left + side // 2, label] = brightness
    return image


def gray(height: int, width: int) -> Callable[[int], Raster]:
    return lambda _: RANDOM.integers(0, 256, (height, width), np.uint8)


# ---- colours and size ----------------------------------------------------------------------------


def test_images_with_colours_are_read_in_rgb(tmp_path: Path) -> None:
    data = read(write(tmp_path / "mine", patch, classes=3))
    assert data.shape == (64, 64, 3)
    assert data.train[0].shape == (30, 64, 64, 3)
    assert data.preparation == StretchPreparation(size=(64, 64))
    brightest = data.train[0].reshape(30, -1, 3).astype(int)
    pure = (brightest >= 100) & (brightest.sum(2, keepdims=True) == brightest)
    assert (pure.sum(1).argmax(1) == 2 - data.train[1]).all()  # blue is the last channel


def drawn(paper: tuple[int, ...], ink: tuple[int, ...], width: int = 30) -> Raster:
    """A stroke on a sheet; colours are BGR."""
    image = np.full((200, 160, 3), paper, np.uint8)
    cv2.line(image, (40, 40), (40 + int(RANDOM.integers(80)), 160), ink, width)
    return image


def noisy_scan(_: int) -> Raster:
    """Pencil on white paper by a warm light, as a camera saves it."""
    image = drawn((215, 228, 240), (60, 66, 70), 3) + RANDOM.normal(0, 8, (200, 160, 3))
    coded = cv2.imencode(".jpg", image.clip(0, 255), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


@pytest.mark.parametrize(
    ("draw", "channels"),
    [
        (lambda label: drawn((0, 0, 0), (8, 44, 8) if label else (44, 8, 8)), 3),
        (lambda label: drawn((255,) * 3, (255, 205, 210) if label else (205, 255, 210)), 3),
        (lambda label: drawn((90,) * 3, (30, 30, 220) if label else (220, 30, 30), 2), 3),
        (lambda label: drawn((215, 228, 240), (50, 55, 60)), 1),
        (noisy_scan, 1),
    ],
    ids=["dark", "pastel", "small", "tinted paper", "noisy scan"],
)
def test_colours_are_told_from_a_tint(
    tmp_path: Path, draw: Callable[[int], Raster], channels: int
) -> None:
    data = read(write(tmp_path / "mine", draw), preparation="stretch", size=16)
    assert data.shape == ((16, 16, 3) if channels == 3 else (16, 16))


def test_training_images_alone_decide_about_colours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "train", gray(32, 32))
    write(tmp_path / "test", patch)
    assert read(tmp_path, preparation="stretch").shape == (32, 32)
    assert "24 of 48 images have colours, which are discarded" in caplog.text


def test_colours_are_discarded_on_request_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = read(write(tmp_path / "mine", patch, classes=3), gray=True, preparation="stretch")
    assert data.shape == (64, 64)
    assert "36 of 36 images have colours, which are discarded" in caplog.text


def test_gray_images_are_read_in_gray_or_on_request_in_rgb(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", gray(32, 32))
    assert read(folder, preparation="stretch").shape == (32, 32)
    assert read(folder, preparation="stretch", gray=False).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("height", "width", "side"), [(8, 8, 28), (33, 200, 32), (60, 70, 64), (100, 100, 96)]
)
def test_the_size_is_near_the_shorter_side(
    tmp_path: Path, height: int, width: int, side: int
) -> None:
    data = read(write(tmp_path / "mine", gray(height, width)), preparation="letterbox")
    assert data.shape == (side, side)


def test_another_size_may_be_requested(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", patch)
    assert read(folder, size=40, preparation="photo").train[0].shape[1:] == (40, 40, 3)


def test_idx_files_keep_their_size(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mine", gray(20, 40), train=40)
    data = read(folder, preparation="stretch")
    assert data.shape == (20, 40)
    assert data.preparation == StretchPreparation(size=(20, 40))


@pytest.mark.parametrize(("height", "width"), [(4, 28), (28, 300)])
def test_idx_files_of_an_extreme_size_are_scaled_on_request_only(
    tmp_path: Path, height: int, width: int
) -> None:
    folder = write_idx(tmp_path / "mine", gray(height, width), train=40)
    with pytest.raises(BadData, match=rf"images are {height} x {width} .*: --size 64 scales them"):
        read(folder)
    assert read(folder, size=32, preparation="letterbox").shape == (32, 32)


def stroke(label: int) -> Raster:
    """Ink on paper."""
    image = np.full((40, 30), 230, np.uint8)
    top, left = RANDOM.integers(5, 15, 2).tolist()
    cv2.line(image, (left, top), (left + 10, top + 20), 20 + 50 * label, 3)
    return image


def corner(label: int) -> Raster:
    """A cross in one of two corners, which is not to be seen once it is centred like a digit."""
    image = np.zeros((28, 28), np.uint8)
    x, y = (RANDOM.integers(5, 9, 2) + 14 * label).tolist()
    cv2.line(image, (x - 4, y), (x + 4, y), 255, 2)
    cv2.line(image, (x, y - 4), (x, y + 4), 255, 2)
    return image


# ---- preparations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "preparation"),
    [
        ("stretch", StretchPreparation(size=(28, 28))),
        ("letterbox", LetterboxPreparation(size=(28, 28))),
        ("photo", PhotoPreparation(resize=32, size=(28, 28))),
        ("digit", DigitPreparation()),
    ],
)
def test_a_preparation_may_be_requested(
    tmp_path: Path, kind: str, preparation: Preparation, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "mine", stroke, count=6)
    with caplog.at_level("INFO", "training"):
        data = read(folder, size=28, preparation=kind)
    assert data.preparation == preparation
    assert "short training" not in caplog.text
    prepare = preparer_of(preparation, data.shape)
    files = folder.glob("*/*.png")
    served = {prepare.file(file.read_bytes(), max_pixels=10**4).tobytes() for file in files}
    trained = {pixels.tobytes() for pixels in data.train[0]}
    assert len(data.train[0]) == 10
    assert trained <= served


def test_idx_files_are_trained_on_as_the_service_reads_them(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mine", corner, train=20)
    published = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 28, 28)
    for kind in ("stretch", "digit"):
        data = read(folder, preparation=kind)
        prepare = preparer_of(data.preparation, data.shape)
        np.testing.assert_array_equal(data.train[0], [prepare(image) for image in published])


def test_images_that_are_digits_already_are_prepared_as_digits(tmp_path: Path) -> None:
    pixels, labels = (array[:300] for array in written_digits())
    for place, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (tmp_path / "mine" / str(label)).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "mine" / str(label) / f"{place}.png"), image)
    assert read(tmp_path / "mine").preparation == DigitPreparation()


@pytest.mark.slow
def test_digits_in_colours_may_be_digits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A blue pen on paper: the digits are large or small and anywhere, so that this shows."""
    pixels, labels = (array[:200] for array in written_digits())
    for place, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        side = int(RANDOM.integers(20, 60))
        sheet = np.full((90, 90, 3), 240, np.uint8)
        top, left = RANDOM.integers(0, 91 - side, 2)
        paper = sheet[top : top + side, left : left + side, 1:]
        paper -= np.minimum(cv2.resize(image, (side, side)), 220)[..., None]
        (tmp_path / "mine" / str(label)).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "mine" / str(label) / f"{place}.png"), sheet)
    assert read(tmp_path / "mine").preparation == DigitPreparation()
    assert "of 200 images have colours, which are discarded" in caplog.text


def test_the_preparation_that_suits_the_images_best_is_kept_and_all_are_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "training"):
        data = read(write_idx(tmp_path / "mine", corner))
    assert data.preparation == StretchPreparation(size=(28, 28))
    assert "stretch            100.0%" in caplog.text
    assert "\n  digit " in caplog.text
    assert "prepared by stretch, 28 x 28, gray" in caplog.text


def plain(label: int) -> Raster:
    return np.full((28, 28), 90 * label + RANDOM.integers(20), np.uint8)


def test_a_preparation_for_which_images_are_blank_is_not_possible(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "training"):
        data = read(write_idx(tmp_path / "mine", plain))
    assert data.preparation.kind == "stretch"
    assert "digit              not possible: 400 of 400 images are blank" in caplog.text


def ellipse(label: int) -> Raster:
    """A circle or an ellipse in an image of any proportions, in colour."""
    height, width = RANDOM.integers(30, 90, 2).tolist()
    radius = min(height, width) // 2 - 4
    image = np.full((height, width, 3), (250, 220, 180), np.uint8)
    axes = RANDOM.permutation([radius, radius // (1 + label)]).tolist()
    cv2.ellipse(image, (width // 2, height // 2), axes, 0, 0, 360, (40, 90, 10), -1)
    return image


@pytest.mark.slow
def test_proportions_are_kept_where_classes_differ_in_them(tmp_path: Path) -> None:
    data = read(write(tmp_path / "mine", ellipse, count=120), size=28)
    assert data.preparation.kind in ("letterbox", "photo")


def test_the_reading_of_a_run_reads_the_same_images_without_a_comparison(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_idx(tmp_path / "mine", plain)
    first = read(folder, limit=30)
    facts = {"reading": first.reading.model_dump(mode="json")}
    caplog.clear()
    again = find_data_set(folder, reading=Reading.of_facts(facts))
    assert "short training" not in caplog.text
    assert (again.preparation, again.shape) == (first.preparation, first.shape)
    np.testing.assert_array_equal(again.train[0], first.train[0])


def test_other_images_are_prepared_like_those_of_the_run(tmp_path: Path) -> None:
    write(tmp_path / "more" / "test", patch)
    prepare = preparer_of(PhotoPreparation(resize=36, size=(32, 32)), (32, 32, 3))
    labels = ("class 0", "class 1", "class 2")
    name, (pixels, truth) = find_test_images(str(tmp_path / "more"), labels, prepare=prepare)
    assert name == "more"
    assert pixels.shape == (24, 32, 32, 3)
    assert set(truth) == {0, 1}


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "--size is 4, it must be a whole number from 8 to 512, in pixels"),
        ({"limit": 0}, "--limit is 0, it must be a whole number of at least 1"),
        ({"preparation": "crop"}, "--preparation is 'crop', it must be one of: auto, digit, photo"),
        ({"preparation": "digit", "size": 64}, "digit makes images of 28 x 28: omit --size 64"),
        ({"preparation": "digit", "gray": False}, "digit makes gray images: omit --no-gray"),
    ],
)
def test_options_that_are_not_possible_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    folder = write(tmp_path / "mine", gray(28, 28))
    with pytest.raises(BadData, match=message):
        read(folder, **options)


def test_the_options_are_those_of_the_python_api() -> None:
    with pytest.raises(BadData, match="--size is 4, it must be a whole number from 8 to 512"):
        MNISTClassifier(size=4)


def test_images_of_a_few_pixels_are_enlarged_on_request_only(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", gray(5, 9))
    with pytest.raises(BadData, match=r"images are 5 pixels high or wide, .*: --size 28 enlarges"):
        read(folder)
    assert read(folder, size=28, preparation="stretch").shape == (28, 28)


def test_a_resumed_run_takes_no_other_reading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--resume", str(tmp_path), "--size", "32"]) == 2
    assert "--resume uses the data and the recipe of the run" in capsys.readouterr().err


def test_a_folder_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(BadData, match=r"no image of .* can be read: .*png is not a readable"):
        read(tmp_path)

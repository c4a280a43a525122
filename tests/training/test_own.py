"""A folder of the user's own images is a data set; errors name the file or class at fault."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import find_data_set
from training.embedded import written_digits
from training.idx import BadData

PIXELS, LABELS = written_digits()


def fill(folder: Path, first: int, count: int, names: dict[int, str]) -> None:
    """Write `count` of the digits in `names` as PNG files, one folder per class."""
    chosen = [k for k in range(first, len(LABELS)) if LABELS[k] in names][:count]
    for k in chosen:
        path = folder / names[LABELS[k]] / f"{k:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), PIXELS[k])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty images of ones and sevens."""
    fill(tmp_path / "mine", 0, 60, {1: "one", 7: "seven"})
    return tmp_path / "mine"


def test_each_folder_is_a_class_with_the_name_of_the_folder(folder: Path) -> None:
    data = find_data_set(folder)
    assert (data.name, tuple(data.labels)) == ("mine", ("one", "seven"))
    assert len(data.train[0]) + len(data.test[0]) == 60
    assert 8 <= len(data.test[0]) <= 10  # one sixth of each class
    assert set(data.test[1]) == {0, 1}
    assert data.train[0].shape[1:] == (28, 28)


def test_images_in_the_form_of_mnist_are_unchanged(folder: Path) -> None:
    data = find_data_set(folder)
    originals = {PIXELS[k].tobytes() for k in range(len(LABELS))}
    assert all(picture.tobytes() in originals for picture in data.train[0])


def test_train_and_test_folders_are_used_as_the_split(tmp_path: Path) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 900, 10, {1: "one", 7: "seven"})
    data = find_data_set(tmp_path)
    assert (len(data.train[0]), len(data.test[0])) == (30, 10)


def test_photographs_are_preprocessed_as_in_the_service(folder: Path) -> None:
    photo = np.full((300, 200, 3), 240, np.uint8)
    cv2.line(photo, (100, 60), (90, 240), (60, 40, 30), 12)
    cv2.imwrite(str(folder / "one" / "photo.jpg"), photo)
    pixels = find_data_set(folder).train[0]
    assert pixels.shape[1:] == (28, 28)
    assert (pixels.reshape(len(pixels), -1).max(1) > 200).all()
    assert (pixels[:, 0].max(1) < 50).all()  # the light background became 0


def test_the_error_names_an_unreadable_image(folder: Path) -> None:
    (folder / "one" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(BadData, match=r"one/broken\.png is not a readable image"):
        find_data_set(folder)


def test_the_error_names_a_blank_image(folder: Path) -> None:
    cv2.imwrite(str(folder / "one" / "blank.png"), np.full((40, 40), 255, np.uint8))
    with pytest.raises(BadData, match=r"one/blank\.png: the picture is blank"):
        find_data_set(folder)


def test_the_error_names_a_class_without_images(folder: Path) -> None:
    (folder / "two").mkdir()
    (folder / "two" / "notes.txt").write_text("none yet")
    with pytest.raises(BadData, match=r"mine/two holds no image: \.bmp,"):
        find_data_set(folder)


def test_the_error_names_a_test_class_without_training_images(tmp_path: Path) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 0, 10, {2: "two"})
    with pytest.raises(BadData, match="test has classes that train has not: two"):
        find_data_set(tmp_path)


def test_the_error_about_an_empty_folder_describes_its_layout(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="must hold a folder of images for each class, 2 to 256, or"):
        find_data_set(tmp_path)


def test_a_file_instead_of_a_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match="file is not a folder"):
        find_data_set(tmp_path / "file")

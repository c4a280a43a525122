"""Many images are read fast and once, some of them on request, and none is lost in silence."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import DataSet, find_data_set
from training.idx import BadData
from training.reading import Reading

STRETCH = Reading(preparation="stretch")


def write(folder: Path, classes: int, count: int) -> Path:
    """`count` images of 8 x 8 pixels for each class, all different."""
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True)
        for number in range(count):
            image = np.full((8, 8), number % 256, np.uint8)
            image[:4] = label % 256
            cv2.imwrite(str(folder / str(label) / f"{number}.png"), image)
    return folder


def read(folder: Path, reading: Reading = STRETCH) -> DataSet:
    return find_data_set(folder, root=folder.parent / "data", reading=reading)


def is_same(one: DataSet, other: DataSet) -> bool:
    pairs = zip((*one.train, *one.test), (*other.train, *other.test), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


# ---- the cache -----------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return write(tmp_path / "mine", classes=2, count=260)


def caches(folder: Path) -> list[Path]:
    return sorted((folder.parent / "data" / "cache").iterdir())


def test_many_files_are_read_once(many: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = read(many)
    assert "read from the cache" not in caplog.text
    with caplog.at_level("INFO", "training"):
        again = read(many)
    assert "520 images are read from the cache" in caplog.text
    assert is_same(first, again)


def test_a_file_that_changed_is_read_again(many: Path) -> None:
    before = read(many).train[0][0].mean()
    found = (many / "0" / "0.png").stat()
    times = found.st_atime_ns, found.st_mtime_ns  # which archives may restore
    cv2.imwrite(str(many / "0" / "0.png"), np.full((8, 8), 200, np.uint8))
    os.utime(many / "0" / "0.png", ns=times)
    assert before < 50
    assert read(many).train[0][0].mean() == 200


def test_each_preparation_is_kept_by_itself(many: Path) -> None:
    read(many)
    assert read(many, Reading(preparation="stretch", size=16)).shape == (16, 16)
    assert len(caches(many)) == 2


def test_a_damaged_cache_is_ignored(many: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = read(many)
    (path,) = caches(many)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert is_same(first, read(many))
    assert f"{path} is damaged, and all images are read again" in caplog.text


def test_what_was_left_out_is_named_again(many: Path, caplog: pytest.LogCaptureFixture) -> None:
    (many / "0" / "damaged.png").write_bytes(b"no image")
    for _ in range(2):
        caplog.clear()
        read(many)
        assert "left out 1 of 521 images" in caplog.text
        assert "damaged.png" in caplog.text


def test_a_folder_that_was_moved_is_named_as_it_is_now(
    many: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (many / "0" / "damaged.png").write_bytes(b"no image")
    read(many)
    caplog.clear()
    with caplog.at_level("INFO", "training"):
        read(many.rename(many.parent / "moved"))
    assert "images are read from the cache" in caplog.text
    assert str(many.parent / "moved" / "0" / "damaged.png") in caplog.text
    assert str(many) not in caplog.text


def test_images_larger_than_the_bound_are_not_kept(
    many: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("training.cache.MOST_BYTES", 1000)
    with caplog.at_level("INFO", "training"):
        read(many)
    assert "are not kept for the next training: they take more than" in caplog.text
    assert not (many.parent / "data").exists()


def test_the_cache_has_a_bound(many: Path) -> None:
    for size in range(10, 17):
        read(many, Reading(preparation="stretch", size=size))
    assert len(caches(many)) == 5


def test_a_cache_that_cannot_be_written_does_not_end_the_training(
    many: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (many.parent / "data").write_text("a file where the folder should be")
    assert len(read(many).train[0]) > 0
    assert "the images are not kept for the next training" in caplog.text


def test_images_that_do_not_fit_the_memory_are_refused_before_they_are_read(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.free_memory", lambda: 2**26)
    assert read(many, Reading(preparation="stretch", size=64)).shape == (64, 64)
    message = r"images of 512x512 in gray take 0\.3 GiB of memory, and 0\.1 GiB are free: .*--size"
    with pytest.raises(BadData, match=message):
        read(many, Reading(preparation="stretch", size=512))


# ---- a part of the images ------------------------------------------------------------------------


def test_a_limit_takes_the_first_images_of_each_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "mine", classes=3, count=60)
    with caplog.at_level("INFO", "training"):
        data = read(folder, Reading(preparation="stretch", limit=12))
    assert np.bincount(data.train[1]).tolist() == [12, 12, 12]
    assert np.bincount(data.test[1]).tolist() == [2, 2, 2]
    assert "only the first 12 training images of each class are used" in caplog.text
    whole = read(folder)
    np.testing.assert_array_equal(data.train[0][:12], whole.train[0][:12])


# ---- classes -------------------------------------------------------------------------------------


def test_there_may_be_more_classes_than_a_byte_counts(tmp_path: Path) -> None:
    data = read(write(tmp_path / "mine", classes=300, count=2))
    assert len(data.labels) == 300
    assert data.train[1].tolist() == list(range(300))


def test_a_class_with_one_image_has_none_for_testing_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "mine", classes=2, count=6)
    for path in sorted((folder / "1").iterdir())[1:]:
        path.unlink()
    data = read(folder)
    assert data.train[1].tolist() == [0] * 5 + [1]
    assert "there is no test image of class 1" in caplog.text


def test_an_image_of_too_many_pixels_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.image.MAX_PIXELS", 63)
    folder = write(tmp_path / "mine", classes=2, count=3)
    with pytest.raises(BadData, match=r"\.png has more than 63 pixels: make a smaller copy"):
        read(folder)

"""Data is verified: errors name the offending file, and no fallback is used silently."""

import gzip
import logging
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.card import DigitPreparation, StretchPreparation
from preprocessing.digits.normalize import are_normalized
from training.data import DataSet, embedded, find_data_set, read_mnist, suited
from training.embedded import EMBEDDED_RECIPE
from training.fetch import MNIST_MD5
from training.idx import BadData
from training.reading import Reading

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Custom data: 40 training and 20 test images; the image files are gzipped."""
    random = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 20)):
        pixels = random.integers(0, 256, (n, 28, 28), np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def own(folder: Path) -> DataSet:
    return find_data_set(folder)


def test_custom_data_may_be_gzipped_and_is_named_after_its_folder(folder: Path) -> None:
    data = own(folder)
    assert data.name == folder.name
    assert data.labels == tuple("0123456789")
    assert data.train[0].shape == (40, 28, 28)
    assert data.test[1].shape == (20,)


def test_the_error_about_a_missing_file_lists_the_required_files(folder: Path) -> None:
    (folder / LABELS).unlink()
    with pytest.raises(BadData, match=f"has no {LABELS} or .*gz. It must hold: .*t10k"):
        own(folder)


def test_the_error_about_files_that_are_not_mnist_has_the_expected_checksum(folder: Path) -> None:
    with pytest.raises(BadData) as bad:
        find_data_set(mnist_dir=folder)
    assert IMAGES in str(bad.value)
    assert MNIST_MD5[IMAGES] in str(bad.value)
    assert "is damaged" in str(bad.value)


def test_there_is_no_fallback_from_an_explicit_mnist_folder(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=str(tmp_path)):
        find_data_set(mnist_dir=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"GIF89a" + bytes(100), "is not an IDX file"),
        (idx(np.zeros((40, 28, 28), np.uint8))[:-1], "31376 bytes, but has 31375"),
        (idx(np.zeros((40, 28, 28), np.uint8)) + b"!", "31376 bytes, but has 31377"),
        (idx(np.zeros((40, 27, 28), np.uint8)), r"are \(27, 28\) pixels, those of t10k \(28, 28\)"),
        (idx(np.zeros((39, 28, 28), np.uint8)), "has 39 images but 40 labels"),
    ],
    ids=["empty", "another format", "a byte short", "a byte long", "another size", "too few"],
)
def test_damaged_image_files_are_rejected(folder: Path, content: bytes, message: str) -> None:
    (folder / f"{IMAGES}.gz").unlink()
    (folder / IMAGES).write_bytes(content)
    with pytest.raises(BadData, match=message):
        own(folder)


def test_classes_follow_from_the_labels_and_are_named_by_labels_txt(folder: Path) -> None:
    (folder / LABELS).write_bytes(idx(np.arange(40, dtype=np.uint8) % 12))
    assert len(own(folder).labels) == 12
    names = "".join(f"kind {k}\n" for k in range(12))
    (folder / "labels.txt").write_text(names, "utf-8-sig")  # as Windows' editor saves it
    assert own(folder).labels[11] == "kind 11"
    (folder / "labels.txt").write_text(names.replace(" ", "\t"))
    with pytest.raises(BadData, match=r"labels\.txt: the name of a class has a tab or another"):
        own(folder)
    (folder / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(BadData, match=r"labels\.txt has 2 lines, .* go up to 11: it must hold 12"):
        own(folder)


def test_the_error_names_a_class_without_training_images(folder: Path) -> None:
    (folder / LABELS).write_bytes(idx(np.arange(40, dtype=np.uint8) % 9))
    with pytest.raises(BadData, match="no training image of class 9"):
        own(folder)


@pytest.mark.parametrize(
    "spoil",
    [lambda raw: raw[:-9], lambda raw: b"x" + raw[1:], lambda raw: raw[:30] + b"!!" + raw[32:]],
    ids=["cut", "no gzip", "changed"],
)
def test_the_error_names_a_damaged_gzip_file(folder: Path, spoil: Any) -> None:
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadData, match=rf"{IMAGES}\.gz is damaged: it cannot be decompressed"):
        own(folder)


@pytest.mark.slow
def test_the_embedded_digits_are_the_fallback_offline_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with caplog.at_level(logging.WARNING, logger="training"):
        data = find_data_set(root=tmp_path)
    assert data.name == "digits"
    assert data.recipe == EMBEDDED_RECIPE
    assert "MNIST IS NOT AVAILABLE" in caplog.text
    assert "MNIST_DIR=" in caplog.text


def test_the_recipe_of_a_set_is_left_out_for_other_shapes() -> None:
    """Options such as --stroke are for gray images of 28x28."""
    usual = find_data_set("digits", reading=Reading(limit=12))
    larger = find_data_set("digits", reading=Reading(limit=12, size=32))
    assert "stroke" in suited(usual, None)
    assert "stroke" not in suited(larger, None)


def test_embedded_digits_are_like_mnist() -> None:
    data = embedded()
    pixels, labels = data.train
    assert pixels.shape[1:] == (28, 28)
    assert pixels.dtype == np.uint8
    assert np.bincount(labels).min() > 500
    assert len(data.test[0]) == 360
    inside = pixels[:, 4:-4, 4:-4].sum(dtype=np.int64) / pixels.sum(dtype=np.int64)
    assert inside > 0.95  # the digit lies within the central 20x20 pixels


MNIST = Path(os.environ.get("MNIST_DIR", "data/MNIST/raw"))


@pytest.mark.skipif(
    not any(MNIST.glob("train-images*")), reason="MNIST is not on this machine: set MNIST_DIR"
)
def test_the_published_mnist_files_are_accepted() -> None:
    data = read_mnist(MNIST)
    assert data.train[0].shape == (60_000, 28, 28)
    assert data.preparation == DigitPreparation()
    # All but those without gray levels.
    assert sum(sum(are_normalized(pixels)) for pixels, _ in (data.train, data.test)) == 69_976
    assert data.test[0].shape == (10_000, 28, 28)


# ---- other data sets in the format of MNIST -----------------------------------------------------


def fashion(root: Path) -> Path:
    """Write four small files where torchvision stores Fashion-MNIST; return their folder."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        labels = (np.arange(20) % 10).astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros((20, 28, 28), np.uint8)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return raw


def test_a_downloaded_data_set_is_used_with_its_class_names(tmp_path: Path) -> None:
    fashion(tmp_path)
    data = find_data_set("fashion-mnist", root=tmp_path)
    assert (data.name, data.labels[9]) == ("fashion-mnist", "Ankle boot")
    assert data.recipe["rotation"] == 0  # clothes are always upright
    assert data.preparation == StretchPreparation(size=(28, 28))  # they are no digits


def test_a_data_set_with_a_name_may_be_limited_or_read_in_another_size(tmp_path: Path) -> None:
    fashion(tmp_path)
    data = find_data_set("fashion-mnist", root=tmp_path, reading=Reading(limit=1))
    assert sorted(data.train[1]) == list(range(10))
    assert data.recipe["batch_size"] == 2
    data = find_data_set("fashion-mnist", root=tmp_path, reading=Reading(size=32, gray=False))
    assert data.train[0].shape == (20, 32, 32, 3)


def test_the_error_about_a_modified_archive_has_both_checksums(
    tmp_path: Path,
) -> None:
    raw = fashion(tmp_path)
    (raw / f"{IMAGES}.gz").write_bytes(gzip.compress(b"something else", mtime=0))
    with pytest.raises(BadData, match=rf"{IMAGES}\.gz is damaged: its MD5 is \w{{32}}, not 8d4fb"):
        find_data_set("fashion-mnist", root=tmp_path)


def test_emnist_is_transposed_and_its_labels_start_at_a(tmp_path: Path) -> None:
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    lying = np.zeros((26, 28, 28), np.uint8)
    lying[:, 3, 20] = 255
    for part in ("train", "test"):
        name = f"emnist-letters-{part}"
        (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(lying))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx(np.arange(1, 27, dtype=np.uint8)))
    data = find_data_set("emnist-letters", root=tmp_path)
    assert data.labels[data.train[1][0]] == "a"
    assert data.train[0][0, 20, 3] == 255


@pytest.mark.parametrize(
    ("name", "advice"),
    [("mnist", "; MNIST_DIR can name a folder that has it"), ("kmnist", ""), ("emnist-digits", "")],
)
def test_there_is_no_fallback_from_an_explicit_data_set(
    name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    with pytest.raises(BadData, match=f"{name} cannot be downloaded: [^;]*{advice}$"):
        find_data_set(name, root=tmp_path)


def test_the_error_about_an_unknown_name_lists_the_data_sets() -> None:
    with pytest.raises(
        BadData, match="there is no folder, file or data set fashon; data sets are mnist"
    ):
        find_data_set("fashon")

"""A folder of the user's own images is a data set; errors name the file or class at fault."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.data import DataSet, find_data_set, find_test_images, suited
from training.embedded import written_digits
from training.idx import BadData
from training.reading import Reading
from training.run import Run

PIXELS, LABELS = written_digits()


def fill(folder: Path, first: int, count: int, names: dict[int, str]) -> None:
    """Write `count` of the digits in `names` as PNG files, one folder per class."""
    chosen = [k for k in range(first, len(LABELS)) if LABELS[k] in names][:count]
    for k in chosen:
        path = folder / names[LABELS[k]] / f"{k:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), PIXELS[k])


def read(folder: Path) -> DataSet:
    """As digits, which needs no comparison of preparations."""
    return find_data_set(folder, reading=Reading(preparation="digit"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty images of ones and sevens."""
    fill(tmp_path / "mine", 0, 60, {1: "one", 7: "seven"})
    return tmp_path / "mine"


def test_each_folder_is_a_class_with_the_name_of_the_folder(folder: Path) -> None:
    data = read(folder)
    assert (data.name, tuple(data.labels)) == ("mine", ("one", "seven"))
    assert len(data.train[0]) + len(data.test[0]) == 60
    assert 8 <= len(data.test[0]) <= 10  # one sixth of each class
    assert set(data.test[1]) == {0, 1}
    assert data.train[0].shape[1:] == (28, 28)


def test_images_in_the_form_of_mnist_are_unchanged(folder: Path) -> None:
    data = read(folder)
    originals = {PIXELS[k].tobytes() for k in range(len(LABELS))}
    assert all(picture.tobytes() in originals for picture in data.train[0])


def test_a_class_of_a_few_images_has_one_for_testing(tmp_path: Path) -> None:
    fill(tmp_path, 0, 3, {1: "one"})
    fill(tmp_path, 0, 7, {7: "seven"})
    data = read(tmp_path)
    assert [list(part[1]).count(0) for part in (data.train, data.test)] == [2, 1]
    assert [list(part[1]).count(1) for part in (data.train, data.test)] == [6, 1]


def test_one_image_a_class_cannot_be_tested(tmp_path: Path) -> None:
    for digit, name in ((1, "one"), (7, "seven")):
        fill(tmp_path, 0, 1, {digit: name})
    with pytest.raises(BadData, match="one to train and one to test are needed"):
        read(tmp_path)


def test_train_and_test_folders_are_used_as_the_split(tmp_path: Path) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 900, 10, {1: "one", 7: "seven"})
    data = read(tmp_path)
    assert (len(data.train[0]), len(data.test[0])) == (30, 10)


@pytest.mark.parametrize("part", ["", "train"])
def test_a_network_is_never_evaluated_on_its_training_images(
    tmp_path: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "mine" / part, 0, 60, {1: "one", 7: "seven"})
    data = read(tmp_path / "mine")
    name, (pixels, labels) = find_test_images(str(tmp_path / "mine"), ("one", "seven", "two"))
    np.testing.assert_array_equal(pixels, data.test[0])
    np.testing.assert_array_equal(labels, data.test[1])
    assert name == "mine"
    assert f"the sixth of each class on which a training with it tests, {len(pixels)} of 60" in (
        caplog.text
    )
    (tmp_path / "mine" / part).rename(tmp_path / "test")
    assert len(find_test_images(str(tmp_path / "test"), ("one", "seven"))[1][0]) == 60


def test_a_class_may_have_no_test_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 900, 10, {7: "seven"})
    assert set(read(tmp_path).test[1]) == {1}
    assert "there is no test image of class one" in caplog.text


def test_photographs_are_preprocessed_as_in_the_service(folder: Path) -> None:
    photo = np.full((300, 200, 3), 240, np.uint8)
    cv2.line(photo, (100, 60), (90, 240), (60, 40, 30), 12)
    cv2.imwrite(str(folder / "one" / "photo.jpg"), photo)
    pixels = read(folder).train[0]
    assert pixels.shape[1:] == (28, 28)
    assert (pixels.reshape(len(pixels), -1).max(1) > 200).all()
    assert (pixels[:, 0].max(1) < 50).all()  # the light background became 0


def test_the_error_names_an_unreadable_image(folder: Path) -> None:
    (folder / "one" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(BadData, match=r"one/broken\.png is not a readable image"):
        read(folder)


def test_the_error_names_a_blank_image(folder: Path) -> None:
    cv2.imwrite(str(folder / "one" / "blank.png"), np.full((40, 40), 255, np.uint8))
    with pytest.raises(BadData, match=r"one/blank\.png: the image is blank"):
        read(folder)


def test_the_error_names_a_class_without_images(folder: Path) -> None:
    (folder / "two").mkdir()
    (folder / "two" / "notes.txt").write_text("none yet")
    with pytest.raises(BadData, match=r"mine/two holds no image: \.bmp,"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\tb", r"a tab or another control character: 'a\\tb'; rename it"),
        (os.fsdecode("grün".encode("latin-1")), r"is not UTF-8: 'gr\\udcfcn'; rename it"),
    ],
)
def test_a_class_name_that_a_card_cannot_hold_is_refused_before_the_training(
    folder: Path, name: str, message: str
) -> None:
    (folder / "one").rename(folder / name)
    with pytest.raises(BadData, match=message):
        read(folder)


def test_the_error_names_a_test_class_without_training_images(tmp_path: Path) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 0, 10, {2: "two"})
    with pytest.raises(
        BadData, match=r"test has classes that train has not: two\. Put .* into .*/train, or"
    ):
        read(tmp_path)


def test_the_error_about_an_empty_folder_describes_its_layout(tmp_path: Path) -> None:
    with pytest.raises(
        BadData, match="must hold a folder of images for each class, 2 to 65,536, or"
    ):
        read(tmp_path)


def test_a_file_instead_of_a_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadData, match=r"file is neither a folder nor a \.csv file"):
        read(tmp_path / "file")


# ---- few images --------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "batch"), [(24, 2), (60, 4), (120, 8), (600, 32)])
def test_a_small_set_has_small_batches(tmp_path: Path, images: int, batch: int) -> None:
    """At least eight an epoch, of five sixths of the images."""
    fill(tmp_path, 0, images, {k: str(k) for k in range(10)})
    data = read(tmp_path)
    assert data.recipe == {"batch_size": batch}
    assert suited(data, None) == {"batch_size": batch}
    assert suited(data, {"epochs": 3}) == {"batch_size": batch, "epochs": 3}
    assert suited(data, {"batch_size": 16}) == {"batch_size": 16}


def test_a_small_set_trains(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = folder.parent / "runs"
    words = ["--data", str(folder), "--epochs", "1", "--runs", str(runs)]
    words += ["--preparation", "digit"]
    assert main(words) == 0
    assert "1 epoch in batches of 4" in capsys.readouterr().err
    assert main([*words, "--batch-size", "64"]) == 2
    assert "--batch-size is 64, more than the" in capsys.readouterr().err


# ---- what is left out, and said ------------------------------------------------------------------


def test_classes_are_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    fill(tmp_path, 0, 80, {1: "10", 2: "9", 3: "b2", 4: "B10", 5: "a"})
    assert tuple(read(tmp_path).labels) == ("9", "10", "a", "b2", "B10")


def test_classes_may_be_named_in_any_script(tmp_path: Path) -> None:
    """Also with characters that Python takes for digits: "²" is none for int, and "٣" is 3."""
    fill(tmp_path, 0, 80, {1: "²", 2: "٣", 3: "größe 2", 4: "größe 10", 5: "七"})
    labels = tuple(read(tmp_path).labels)
    assert sorted(labels) == sorted(("²", "٣", "größe 2", "größe 10", "七"))
    assert labels.index("größe 2") < labels.index("größe 10")


@pytest.mark.parametrize(
    ("train", "test"),
    [("training", "testing"), ("Train", "Test"), ("train", "valid"), ("TRAIN", "validation")],
)
def test_parts_may_have_other_names(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path / train, 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / test, 900, 10, {1: "one", 7: "seven"})
    data = read(tmp_path)
    assert (len(data.train[0]), len(data.test[0])) == (30, 10)


def test_a_training_part_alone_is_divided(tmp_path: Path) -> None:
    fill(tmp_path / "train", 0, 60, {1: "one", 7: "seven"})
    data = read(tmp_path)
    assert tuple(data.labels) == ("one", "seven")
    assert len(data.train[0]) + len(data.test[0]) == 60


def test_hardly_any_image_changes_sides_in_a_folder_that_grows(tmp_path: Path) -> None:
    names = {1: "one", 7: "seven"}
    fill(tmp_path, 500, 120, names)
    tested = {each.tobytes() for each in read(tmp_path).test[0]}
    fill(tmp_path, 0, 55, names)  # whose names come first
    trained = {each.tobytes() for each in read(tmp_path).train[0]}
    assert len(tested) == 20
    assert len(tested & trained) <= 3


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, 0, 60, {1: "bus", 7: "train"})
    assert tuple(read(tmp_path).labels) == ("bus", "train")


def test_a_folder_beside_the_parts_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for part in ("train", "test", "more"):
        fill(tmp_path / part, 0, 20, {1: "one", 7: "seven"})
    read(tmp_path)
    assert f"{tmp_path}: not used: more. Training images are those in train, test images" in (
        caplog.text
    )


@pytest.mark.parametrize("name", ["valid", "Val", "validation"])
def test_a_folder_of_validation_images_is_used_as_such(tmp_path: Path, name: str) -> None:
    for part, first, count in (("train", 0, 40), (name, 400, 12), ("test", 900, 10)):
        fill(tmp_path / part, first, count, {1: "one", 7: "seven"})
    words = ["--data", str(tmp_path), "--preparation", "digit", "--runs", str(tmp_path / "runs")]
    assert main([*words, "--epochs", "1", "--width", "0.25"]) == 0
    run = Run.latest(tmp_path / "runs")
    facts, validation = run.checkpoint().data_set, run.validation_set()
    assert (facts.train, facts.validation, facts.test) == (40, 12, 10)
    assert validation is not None
    expected = read(tmp_path / name)
    known = {each.tobytes() for part in (expected.train, expected.test) for each in part[0]}
    assert {each.tobytes() for each in validation[0]} == known


def test_files_beside_the_folders_of_the_classes_are_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.jpg", "b.png", "README.md", ".hidden.png"):
        (folder / name).write_text("not in a class")
    data = read(folder)
    assert len(data.train[0]) + len(data.test[0]) == 60
    assert (
        f"{folder}: not used: 2 images beside the folders of the classes: a.jpg, b.png; "
        "1 other file beside the folders of the classes: README.md" in caplog.text
    )


def test_files_beside_the_parts_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "train", 0, 60, {1: "one", 7: "seven"})
    (tmp_path / "lost.png").write_bytes(b"")
    (tmp_path / "train" / "stray.png").write_bytes(b"")
    read(tmp_path)
    assert f"{tmp_path}: not used: 1 image beside" in caplog.text
    assert "classes: stray.png" in caplog.text


def test_copies_in_both_parts_or_under_two_classes_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "train", 0, 30, {1: "one", 7: "seven"})
    fill(tmp_path / "test", 900, 10, {1: "one", 7: "seven"})
    read(tmp_path)
    assert caplog.text == ""
    first = sorted((tmp_path / "train" / "one").iterdir())[0]
    (tmp_path / "test" / "one" / "copy.png").write_bytes(first.read_bytes())
    (tmp_path / "train" / "seven" / "wrong.png").write_bytes(first.read_bytes())
    read(tmp_path)
    assert "1 test image is also in the training part" in caplog.text
    assert f"train/one/{first.name} = test/one/copy.png" in caplog.text
    assert "1 image is under more than one class" in caplog.text


def test_folders_within_a_class_belong_to_it(folder: Path) -> None:
    fill(folder / "one" / "of" / "mine", 900, 12, {1: "more"})
    data = read(folder)
    assert tuple(data.labels) == ("one", "seven")
    assert len(data.train[0]) + len(data.test[0]) == 72


def test_a_link_to_a_folder_within_a_class_is_not_followed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may lead back, and every image would be read forty times."""
    (folder / "one" / "again").symlink_to(folder / "one")
    data = read(folder)
    assert len(data.train[0]) + len(data.test[0]) == 60
    assert "left out 1 file that is no images: again" in caplog.text


def test_files_that_systems_leave_are_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0001.png"):
        (folder / "one" / name).write_bytes(b"not an image")
    (folder / "__MACOSX").mkdir()
    data = read(folder)
    assert tuple(data.labels) == ("one", "seven")
    assert len(data.train[0]) + len(data.test[0]) == 60
    assert caplog.text == ""


def test_files_that_are_no_images_are_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("notes.txt", "labels.csv"):
        (folder / "one" / name).write_text("1")
    read(folder)
    assert "one: left out 2 files that are no images: labels.csv, notes.txt" in caplog.text


def test_jfif_is_jpeg(folder: Path) -> None:
    written = next((folder / "one").iterdir())
    image = cv2.imencode(".jpg", 255 - PIXELS[int(written.stem)])[1]
    (folder / "one" / "photo.jfif").write_bytes(image.tobytes())
    data = read(folder)
    assert len(data.train[0]) + len(data.test[0]) == 61


def test_one_image_in_a_hundred_may_be_unusable_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, 0, 120, {1: "one", 7: "seven"})
    (tmp_path / "one" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    data = read(tmp_path)
    assert len(data.train[0]) + len(data.test[0]) == 120
    assert "left out 1 of 121 images" in caplog.text
    assert str(tmp_path / "one" / "damaged.png") in caplog.text
    cv2.imwrite(str(tmp_path / "seven" / "blank.png"), np.zeros((28, 28), np.uint8))
    with pytest.raises(BadData, match=r"2 of 122 images .*, and only one in 100") as error:
        read(tmp_path)
    assert "remove or replace them" in str(error.value)
    for name in ("one/damaged.png", "seven/blank.png"):
        assert str(tmp_path / name) in str(error.value)


def test_of_many_unusable_images_the_first_are_named(folder: Path) -> None:
    for number in range(25):
        (folder / "one" / f"damaged{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BadData, match=r"25 of 85 images(?s:.*)\n  and 5 more$") as error:
        read(folder)
    assert str(error.value).count("is not a readable image") == 20
    assert "send" not in str(error.value)


def test_colours_that_are_discarded_are_announced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, colour in (("red", (0, 0, 255)), ("blue", (255, 0, 0))):
        (tmp_path / name).mkdir()
        for number in range(12):
            image = np.full((40, 40, 3), 255, np.uint8)
            cv2.circle(image, (20, 20), 6 + number % 5, colour, 3)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), image)
    read(tmp_path)
    assert "24 of 24 images have colours, which are discarded" in caplog.text


def test_gray_photographs_with_a_tint_are_not_coloured(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo = np.full((300, 200, 3), (225, 235, 240), np.uint8)
    cv2.line(photo, (100, 60), (90, 240), (60, 50, 45), 12)
    cv2.imwrite(str(folder / "one" / "photo.jpg"), photo)
    read(folder)
    assert caplog.text == ""

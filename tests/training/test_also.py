"""`--also` trains on more images, such as corrections, and holds a fifth of them out."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.card import PhotoPreparation
from contract.corrections import Corrections, hash_of, is_held_out
from preprocessing.encoding import png_of
from preprocessing.preparation import Pixels
from tests.support.pictures import encoded, seven
from tests.training.conftest import RECIPE
from tests.training.test_train import StopAfter, run_of, same, weights
from training.__main__ import main
from training.also import Also, read_also
from training.data import DataSet
from training.embedded import written_digits
from training.idx import BadData
from training.loop import Stopped
from training.recipe import Recipe
from training.run import BadRun, Run
from training.train import resume, train_into

SHORT = replace(RECIPE, epochs=1, plain_epochs=0)


def add(folder: Path, pixels: Pixels, label: str) -> str:
    """A correction as the service keeps it; returns the hash of the image."""
    image = hash_of(pixels.tobytes())
    path = folder / f"accepted/{label}/{image}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_of(pixels))
    return image


@pytest.fixture
def corrections(tmp_path: Path) -> Path:
    """The accepted corrections of 50 digits that are not in the small data set."""
    pixels, labels = written_digits()
    for place in range(900, 950):
        add(tmp_path / "feedback", pixels[place], str(labels[place]))
    return tmp_path / "feedback/accepted"


def found(folder: Path, data: DataSet) -> Also:
    also = read_also([folder], data)
    assert also is not None
    return also


def hashes(pixels: Pixels) -> set[str]:
    return {hash_of(each.tobytes()) for each in pixels}


def test_a_fifth_by_hash_is_held_out_and_never_trained_on(
    small_data: DataSet, corrections: Path
) -> None:
    also = found(corrections, small_data)
    assert len(also.train[1]) + len(also.held_out[1]) == 50
    assert all(map(is_held_out, hashes(also.held_out[0])))
    assert not any(map(is_held_out, hashes(also.train[0])))
    assert 4 <= len(also.held_out[1]) <= 16


def test_a_run_keeps_both_parts(small_data: DataSet, corrections: Path, tmp_path: Path) -> None:
    also = found(corrections, small_data)
    run = train_into(tmp_path / "runs", small_data, replace(SHORT, also_weight=3), also=also)
    trained_on, held_out = run.also(), run.corrections()
    assert trained_on is not None
    assert held_out is not None
    assert np.array_equal(trained_on[0], also.train[0])
    assert np.array_equal(held_out[1], also.held_out[1])
    facts = run.checkpoint().data_set
    assert facts.train == 570 + len(also.train[1])  # each once, whatever its weight
    assert (facts.also, facts.held_out) == (len(also.train[1]), len(held_out[1]))
    assert run.checkpoint().recipe["also_weight"] == 3


def test_a_run_without_more_images_has_no_corrections(small_folder: Path) -> None:
    run = Run(small_folder)
    assert run.also() is None
    assert run.corrections() is None


def test_the_weight_is_how_often_an_image_is_shown(
    small_data: DataSet, corrections: Path, tmp_path: Path
) -> None:
    also = found(corrections, small_data)
    run = train_into(tmp_path, small_data, replace(SHORT, also_weight=10), also=also)
    steps = (570 + 10 * len(also.train[1])) // SHORT.batch_size
    assert run.state()["schedule"]["last_epoch"] == steps


def test_corrections_that_come_while_a_training_is_stopped_do_not_change_it(
    small_data: DataSet,
    corrections: Path,
    tmp_path: Path,
    stopped_run: Callable[[Recipe, Also], Run],
) -> None:
    also, recipe = found(corrections, small_data), SHORT
    whole = train_into(tmp_path / "whole", small_data, recipe, also=also)
    run = stopped_run(recipe, also)
    add(corrections.parent, written_digits()[0][960], "1")
    assert same(weights(resume(run, small_data)), weights(whole))


def test_a_run_that_lost_the_images_is_not_resumed(
    small_data: DataSet, corrections: Path, stopped_run: Callable[[Recipe, Also], Run]
) -> None:
    run = stopped_run(SHORT, found(corrections, small_data))
    (run.folder / "also.npz").unlink()
    with pytest.raises(BadRun, match="lacks images of --also"):
        resume(run, small_data)


@pytest.fixture
def stopped_run(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Recipe, Also], Run]:
    """A run that was stopped after its third step."""

    def stopped(recipe: Recipe, also: Also) -> Run:
        StopAfter(monkeypatch, 3)
        with pytest.raises(Stopped) as stopped:
            train_into(tmp_path / "stopped", small_data, recipe, also=also)
        return run_of(stopped.value)

    return stopped


# ---- what is read -------------------------------------------------------------------------------


def test_corrections_are_used_as_the_network_saw_them(small_data: DataSet, tmp_path: Path) -> None:
    """Also where the preparation would change them: that of a photo cuts a margin off."""
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8)
    add(tmp_path, pixels, "7")
    photos = replace(
        small_data,
        test=(np.zeros((1, 28, 28, 3), np.uint8), small_data.test[1][:1]),
        preparation=PhotoPreparation(resize=32, size=(28, 28)),
        shape=(28, 28, 3),
    )
    also = found(tmp_path / "accepted", photos)
    assert np.array_equal(np.concatenate([also.train[0], also.held_out[0]])[0], pixels)


def test_other_images_are_prepared(small_data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/photo.png").write_bytes(encoded(seven()))
    also = found(tmp_path, small_data)
    pixels = np.concatenate([also.train[0], also.held_out[0]])
    assert pixels.shape == (1, 28, 28)
    assert pixels[0, 0].max() < 20  # light on dark, in the middle


def test_images_of_the_test_set_are_left_out(
    small_data: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = add(tmp_path, small_data.test[0][0], "1")
    with caplog.at_level(logging.WARNING):
        assert read_also([tmp_path / "accepted"], small_data) is None
    assert f"left out 1 image in the test set: {image}" in caplog.text


def test_an_image_with_two_labels_is_left_out(
    small_data: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = written_digits()[0][900]
    for part, label in (("one", "7"), ("two", "1")):
        add(tmp_path / part, pixels, label)
    folders = [tmp_path / part / "accepted" for part in ("one", "two")]
    with caplog.at_level(logging.WARNING):
        assert read_also(folders, small_data) is None
    assert "with two labels" in caplog.text


def test_a_damaged_file_is_named_and_left_out(
    small_data: DataSet, corrections: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (corrections / "7/damaged.png").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        also = found(corrections, small_data)
    assert len(also.train[1]) + len(also.held_out[1]) == 50
    assert "damaged.png" in caplog.text


def test_images_of_unknown_classes_are_left_out(
    small_data: DataSet, corrections: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of another model, or a typing error in an annotation, must not fail every later job."""
    add(corrections.parent, written_digits()[0][960], "a cat")
    with caplog.at_level(logging.WARNING):
        also = found(corrections, small_data)
    assert len(also.train[1]) + len(also.held_out[1]) == 50
    left_out = f"left out 1 image of unknown classes in {corrections}: a cat; the data set has 0, 1"
    assert left_out in caplog.text


def test_a_folder_of_corrections_in_all_states_is_refused(
    small_data: DataSet, corrections: Path
) -> None:
    with pytest.raises(BadData, match=r"is a folder of corrections: name .*/accepted"):
        read_also([corrections.parent], small_data)


def test_a_run_keeps_which_held_out_corrections_an_admin_accepted(
    small_data: DataSet, corrections: Path, tmp_path: Path
) -> None:
    pixels = {hash_of(each.tobytes()): each for each in found(corrections, small_data).held_out[0]}
    one, *_ = pixels
    Corrections(corrections.parent).accept(one)
    also = found(corrections, small_data)
    reviewed = also.held_out.reviewed
    assert hashes(also.held_out[0][reviewed]) == {one}
    run = train_into(tmp_path / "runs", small_data, SHORT, also=also)
    held_out = run.corrections()
    assert held_out is not None
    assert np.array_equal(held_out.reviewed, reviewed)


def test_images_that_the_operator_added_need_no_review(
    small_data: DataSet, corrections: Path, tmp_path: Path
) -> None:
    for path in corrections.rglob("*.png"):
        copy = tmp_path / "own" / path.parent.name / f"image-{path.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert found(tmp_path / "own", small_data).held_out.reviewed.all()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--also", "nowhere"], "nowhere is no folder"),
        (["--also-weight", "3"], "--also-weight has an effect only with --also"),
        (["--resume", "runs/1", "--also", "folder"], "omit other flags"),
        (["--also", "folder", "--also-weight", "0"], "--also-weight is 0, it must be"),
    ],
)
def test_mistakes_are_reported(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert complaint in capsys.readouterr().err


def test_the_command_says_how_many_images_are_held_out(
    corrections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, labels = written_digits()
    for place in range(100):
        add(tmp_path / "data", pixels[place], str(labels[place]))
    words = ["--data", str(tmp_path / "data/accepted"), "--preparation", "digit"]
    words += ["--also", str(corrections), "--epochs", "1", "--runs", str(tmp_path / "runs")]
    assert main(words) == 0
    run = Run.latest(tmp_path / "runs")
    facts = json.loads((run.folder / "run.json").read_text())["data"]["also"]
    assert facts["train"] + facts["held_out"] == 50
    said = f"and {facts['train']} images of {corrections}, where {facts['held_out']} more are held"
    assert said in capsys.readouterr().err

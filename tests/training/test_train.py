"""Training learns, repeats itself bit for bit, stops and resumes, and stores its measurements."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from contract.cgroup import available_cores
from tests.support.program import interruptible
from tests.training.conftest import RECIPE
from training.__main__ import main
from training.data import DataSet
from training.evaluate import calibration_error, logits_of
from training.loop import Part, Stopped
from training.plots import write_plots
from training.recipe import BadRecipe, Recipe
from training.run import BadRun, Run
from training.task import split
from training.train import resume, train_into

ROOT = Path(__file__).parent.parent.parent
SHORT = replace(RECIPE, epochs=2, plain_epochs=1)
WITHOUT_VALIDATION = replace(SHORT, validation=0)
TAUGHT = replace(SHORT, teachers=2, teacher_network="compact", teacher_width=1, teacher_epochs=1)

Weights = dict[str, torch.Tensor]


@pytest.fixture
def trained(small_data: DataSet, tmp_path: Path) -> Callable[[Recipe], Run]:
    """Train a recipe on the small data."""
    return lambda recipe: train_into(tmp_path / "runs", small_data, recipe)


@pytest.fixture(scope="module")
def whole(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe], Run]:
    """Train a recipe without interruption; cached for tests that only inspect the run."""
    runs = tmp_path_factory.mktemp("whole")
    return cache(lambda recipe: train_into(runs, small_data, recipe))


def weights(run: Run) -> Weights:
    return run.checkpoint().weights


def run_of(stopped: Stopped) -> Run:
    assert stopped.folder is not None
    return Run(stopped.folder)


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---- learning --------------------------------------------------------------------------------


def test_a_small_training_learns_to_classify_digits(run: Run) -> None:
    assert run.checkpoint().evaluation.accuracy > 0.9


def test_options_unfit_for_data_or_machine_are_rejected_without_a_folder(
    small_data: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(BadRecipe, match="--batch-size is 600, more than the 570 training images"):
        train_into(tmp_path / "runs", small_data, replace(RECIPE, batch_size=600))
    if not torch.cuda.is_available():
        with pytest.raises(BadRecipe, match=r"--device is cuda, but PyTorch .* finds none"):
            train_into(tmp_path / "runs", small_data, replace(RECIPE, device="cuda"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_bit_for_bit(trained: Callable[[Recipe], Run]) -> None:
    recipe = replace(SHORT, rotation=10, elastic=0.5, spoiled=0.25)
    assert same(weights(trained(recipe)), weights(trained(recipe)))


def test_the_best_epoch_has_the_lowest_validation_loss(run: Run) -> None:
    metrics = run.metrics()
    losses = [epoch["calibrated_loss"] for epoch in metrics["history"]]
    assert losses[metrics["best_epoch"] - 1] == pytest.approx(min(losses), abs=5e-5)


@pytest.mark.slow
def test_the_checkpoint_has_the_weights_of_the_best_epoch(
    trained: Callable[[Recipe], Run], small_data: DataSet
) -> None:
    run = trained(
        replace(RECIPE, epochs=8, learning_rate=0.03, schedule="none", validation=0.4, keep="best")
    )
    history, best = run.metrics()["history"], run.metrics()["best_epoch"]
    pixels, labels = (torch.tensor(array) for array in small_data.train)
    part = Part(pixels, labels.long())
    held_out = split(part, Recipe.made_of(run.checkpoint().recipe))[1]
    assert held_out is not None
    logits = logits_of(run.checkpoint().build(), held_out.pixels) / run.checkpoint().temperature
    found = float(torch.nn.functional.cross_entropy(logits, held_out.labels))
    assert best < 8
    assert found == pytest.approx(history[best - 1]["calibrated_loss"], rel=1e-3)
    assert found != pytest.approx(history[-1]["calibrated_loss"], rel=1e-3)


@pytest.mark.slow
def test_the_evaluation_is_of_the_calibrated_network(
    trained: Callable[[Recipe], Run], small_data: DataSet
) -> None:
    run = trained(replace(SHORT, validation=0.4))
    checkpoint, labels = run.checkpoint(), torch.tensor(small_data.test[1]).long()
    logits = logits_of(checkpoint.build(), torch.tensor(small_data.test[0]))
    assert checkpoint.temperature != 1
    found = checkpoint.evaluation
    after = calibration_error(logits / checkpoint.temperature, labels)
    assert found.calibration_error == pytest.approx(after, abs=1e-4)
    assert found.calibration_error_before == pytest.approx(
        calibration_error(logits, labels), abs=1e-4
    )


def test_a_diverging_training_raises_an_error(trained: Callable[[Recipe], Run]) -> None:
    recipe = replace(
        SHORT, network="mlp", optimiser="sgd", learning_rate=10, schedule="none", epochs=4
    )
    with pytest.raises(
        BadRecipe, match=r"the loss is not a finite number .* lower --learning-rate"
    ):
        trained(recipe)


@pytest.mark.slow
def test_without_a_validation_split_the_last_weights_are_kept_uncalibrated(
    whole: Callable[[Recipe], Run],
) -> None:
    run = whole(WITHOUT_VALIDATION)
    assert run.metrics()["best_epoch"] == 2
    assert run.metrics()["history"][0]["validation_loss"] is None
    assert run.checkpoint().temperature == 1
    assert run.checkpoint().data_set.train == 600


# ---- stopping and resuming -------------------------------------------------------------------


class StopAfter:
    """Sends SIGINT, as Ctrl-C does, after `steps` steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.left = steps
        from training import watch

        step = watch.Watch.step

        def pressed(watch_: watch.Watch, done: int, means: torch.Tensor) -> None:
            step(watch_, done, means)
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(watch.Watch, "step", pressed)


@pytest.mark.slow
def test_a_resumed_run_reaches_the_weights_of_an_uninterrupted_one(
    small_data: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Callable[[Recipe], Run],
) -> None:
    expected = whole(SHORT)
    StopAfter(monkeypatch, 20)
    with pytest.raises(Stopped, match="stopped after 1 epoch and 3 of 17 steps") as stopped:
        train_into(tmp_path / "parts", small_data, SHORT)
    run = run_of(stopped.value)
    assert not run.ended
    resume(run, small_data)
    assert same(weights(run), weights(expected))
    assert [epoch["epoch"] for epoch in run.metrics()["history"]] == [1, 2]


def test_a_run_of_two_processes_cannot_resume_in_one(
    run: Run, small_data: DataSet, tmp_path: Path
) -> None:
    two = Run(tmp_path / "two")
    two.begin(run.facts() | {"processes": 2})
    with pytest.raises(BadRun, match=r"resume it with .*torchrun --nproc_per_node=2 -m training"):
        resume(two, small_data)


@pytest.mark.slow
def test_the_threads_of_a_student_do_not_depend_on_its_teachers(
    small_data: DataSet, tmp_path: Path
) -> None:
    recipe = replace(SHORT, threads=0, teachers=1, teacher_network="mlp", teacher_epochs=1)
    run = train_into(tmp_path, small_data, recipe)
    assert run.metrics()["threads"] == 1
    assert run.teacher(1).metrics()["threads"] == min(64, available_cores())
    assert run.metrics()["teachers_cpu_seconds"] == run.teacher(1).metrics()["cpu_seconds"]


@pytest.mark.slow
def test_pretrained_weights_are_used_after_a_stop_in_a_teacher(
    run: Run, small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(
        SHORT, teachers=1, teacher_network="compact", teacher_width=1, teacher_epochs=1,
        pretrained=str(run.folder / "checkpoint.pt"),
    )  # fmt: skip
    whole = train_into(tmp_path / "whole", small_data, recipe)
    StopAfter(monkeypatch, 3)
    with pytest.raises(Stopped) as stopped:
        train_into(tmp_path / "parts", small_data, recipe)
    assert same(weights(resume(run_of(stopped.value), small_data)), weights(whole))


def test_a_completed_or_missing_run_cannot_resume(
    run: Run, small_data: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(BadRun, match="was completed: there is nothing to resume"):
        resume(run, small_data)
    with pytest.raises(BadRun, match=r"is not a run: run\.json is missing"):
        resume(Run(tmp_path), small_data)


def test_a_training_that_is_stopped_at_its_plots_is_completed_by_resume(
    run: Run,
    small_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.train.write_plots", pressed)
    words = ["--data", str(small_folder), "--epochs", "1", "--threads", "1"]
    assert main([*words, "--preparation", "stretch", "--runs", str(tmp_path)]) == 130
    stopped = Run.latest(tmp_path)
    assert f"-m training --resume {stopped.folder}" in capsys.readouterr().err
    monkeypatch.setattr("training.train.write_plots", write_plots)
    assert main(["--resume", str(stopped.folder)]) == 0
    assert {plot.name for plot in stopped.folder.glob("*.png")} == {
        plot.name for plot in run.folder.glob("*.png")
    }
    assert main(["--resume", str(stopped.folder)]) == 2
    assert "was completed: there is nothing to resume" in capsys.readouterr().err


@pytest.mark.slow
def test_sigterm_after_the_last_epoch_prints_the_resume_command(
    small_folder: Path, tmp_path: Path
) -> None:
    stop = (
        "import os, runpy, signal, training.train\n"
        "training.train.write_plots = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "runpy.run_module('training', run_name='__main__')\n"
    )
    words = ["--data", str(small_folder), "--epochs", "1", "--threads", "1", "--preparation",
             "stretch", "--runs", str(tmp_path)]  # fmt: skip
    program = subprocess.run(
        [sys.executable, "-c", stop, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    assert program.returncode == 130
    assert f"-m training --resume {Run.latest(tmp_path).folder}" in program.stderr


def test_resuming_with_other_images_is_rejected_with_both_checksums(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StopAfter(monkeypatch, 3)
    with pytest.raises(Stopped) as stopped:
        train_into(tmp_path, small_data, SHORT)
    other = replace(small_data, test=(255 - small_data.test[0], small_data.test[1]))
    with pytest.raises(BadRun, match=r"other images: .* MD5 \w{32}, the run's data had \w{32}"):
        resume(run_of(stopped.value), other)


@pytest.mark.slow
def test_ctrl_c_saves_the_state_and_prints_the_resume_command(
    small_folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "training", "--data", str(small_folder), "--epochs", "3000",
               "--threads", "1", "--batch-size", "32", "--runs", str(tmp_path)]  # fmt: skip
    process = interruptible(command, cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not any(file.read_text() for file in tmp_path.glob("*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    (run,) = tmp_path.glob("2*")
    assert f"/python -m training --resume {run}" in stderr
    assert (run / "last.pt").exists()


# ---- the disk --------------------------------------------------------------------------------


def test_a_full_disk_is_reported_before_the_first_epoch(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(BadRun, match=r"has 0 MB free, this training needs about \d+: free some"):
        train_into(tmp_path / "runs", small_data, SHORT)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_disk_that_fills_up_names_the_run_and_how_to_resume_it(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run, state: dict[str, Any]) -> None:
        if state["epoch"] == 1:
            with monkeypatch.context() as disk:
                disk.setattr("os.fsync", _no_space)
                save(run, state)
        save(run, state)

    save = Run.save
    monkeypatch.setattr(Run, "save", full)
    message = (
        r"2\d+-\d+ cannot be written to \(No space left on device: .*last\.pt\)\. If the disk is "
        r"full, free some space, then resume it with: .* -m training --resume .*/2\d+-\d+$"
    )
    with pytest.raises(BadRun, match=message):
        train_into(tmp_path, small_data, SHORT)


def _no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_unwritable_folder_is_reported_before_the_first_epoch(
    small_data: DataSet, tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="runs"):
        train_into(tmp_path / "runs", small_data, SHORT)


# ---- teachers --------------------------------------------------------------------------------


@pytest.mark.slow
def test_teachers_are_trained_before_their_student(
    whole: Callable[[Recipe], Run],
) -> None:
    alone, taught = whole(SHORT), whole(TAUGHT)
    assert not same(weights(alone), weights(taught))
    teachers = [taught.teacher(number) for number in (1, 2)]
    assert all(teacher.ended for teacher in teachers)
    assert not same(weights(teachers[0]), weights(teachers[1]))


@pytest.mark.slow
def test_a_run_stopped_in_a_teacher_resumes_to_the_same_weights(
    small_data: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Callable[[Recipe], Run],
) -> None:
    expected = whole(TAUGHT)
    StopAfter(monkeypatch, 20)  # in the second teacher
    with pytest.raises(Stopped) as stopped:
        train_into(tmp_path / "parts", small_data, TAUGHT)
    run = run_of(stopped.value)
    assert run.folder.parent == tmp_path / "parts"
    assert run.teacher(1).ended
    assert not run.teacher(2).ended
    resume(run, small_data)
    assert same(weights(run), weights(expected))


# ---- the files of a run ----------------------------------------------------------------------


def test_a_run_stores_all_measurements(run: Run) -> None:
    metrics = run.metrics()
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert metrics["history"] == lines
    assert metrics["recipe"] == RECIPE.as_dict()
    assert metrics["accuracy"] == metrics["evaluation"]["accuracy"]
    assert metrics["parameters"] == 29_434
    assert metrics["device"] == "cpu"
    assert metrics["data_set"]["test"] == 200
    assert metrics["cpu_seconds"] > 0
    assert len(metrics["evaluation"]["per_class"]) == 10
    assert sum(row["support"] for row in metrics["evaluation"]["per_class"]) == 200
    wrong = 200 - sum(metrics["confusion_matrix"][k][k] for k in range(10))
    assert sum(row["times"] for row in metrics["commonest_confusions"]) <= wrong


def test_a_run_stores_accuracy_by_confidence(run: Run) -> None:
    metrics = run.metrics()
    bins = metrics["reliability"]
    assert 1 <= len(bins) <= 15
    assert [*bins[0]] == ["confidence", "accuracy", "count"]
    assert all(each["count"] > 0 for each in bins)
    assert sum(each["count"] for each in bins) == 200
    right = sum(each["count"] * each["accuracy"] for each in bins)
    assert right / 200 == pytest.approx(metrics["accuracy"])
    error = sum(each["count"] * abs(each["accuracy"] - each["confidence"]) for each in bins) / 200
    assert error == pytest.approx(metrics["evaluation"]["calibration_error"])
    assert [each["confidence"] for each in bins] == sorted(each["confidence"] for each in bins)


def test_a_run_has_all_plots_and_event_files(run: Run) -> None:
    for name in (
        "loss_graph", "confusion_matrix", "sample_predictions", "misclassified", "reliability",
    ):  # fmt: skip
        picture = (run.folder / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 5000
    assert list((run.folder / "tensorboard").glob("events.*"))


def test_every_option_is_stored_in_the_checkpoint(run: Run) -> None:
    assert run.checkpoint().recipe == RECIPE.as_dict()


def test_a_rebuilt_checkpoint_has_the_accuracy_of_its_evaluation(run: Run) -> None:
    checkpoint = run.checkpoint()
    pixels, labels = run.test_set()
    answers = logits_of(checkpoint.build(), torch.from_numpy(pixels)).argmax(1).numpy()
    assert float((answers == labels).mean()) == pytest.approx(checkpoint.evaluation.accuracy)


@pytest.mark.slow
def test_a_run_keeps_its_validation_images(
    trained: Callable[[Recipe], Run], small_data: DataSet
) -> None:
    run = trained(replace(SHORT, validation=0.2))
    kept = run.validation_set()
    assert kept is not None
    _, held_out = split(Part(*map(torch.tensor, small_data.train)), replace(SHORT, validation=0.2))
    assert held_out is not None
    assert (kept[0] == held_out.pixels.numpy()).all()
    assert (kept[1] == held_out.labels.numpy()).all()
    assert len(kept[1]) == run.checkpoint().data_set.validation == 120


@pytest.mark.slow
def test_a_run_without_validation_keeps_no_validation_images(
    whole: Callable[[Recipe], Run],
) -> None:
    assert whole(WITHOUT_VALIDATION).validation_set() is None

"""`python -m training` rejects invalid arguments in a sentence, and evaluates and compares runs."""

import json
from pathlib import Path
from shutil import copytree

import cv2
import pytest

from training.__main__ import main
from training.embedded import written_digits
from training.run import Run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "--epochs is 0, it must be a whole number from 1 to 10000"),
        (["--dropout1", "nan"], "--dropout1 is nan"),
        (["--patience", "3", "--validation", "0"], "--patience 3 needs a validation part"),
        (["--erasing", "1"], "--erasing is 1.0, it must be 0 to 0.5"),
        (["--data", "no/such/folder"], "no folder, file or data set no/such/folder; data sets"),
        (["--data", "digits", "--batch-size", "60000"], "--batch-size is 60000, more than the"),
        (
            ["--batch-size", "60000"],
            "--batch-size is 60000, more than the 57000 training images",
        ),
        (["--data", "digits", "--pretrained", "no.pt"], "no.pt"),
        (["--resume", "no/such/run"], "no/such/run is not a run"),
        (["--resume", "run", "--epochs", "3"], "--resume uses the data and the recipe"),
        (["--resume", "run", "--job", "j"], "--resume uses the data and the recipe"),
        (["evaluate", "no/such/run"], "no/such/run is not a run"),
        (["compare", "no/such/run"], "no/such/run/training_metrics.json is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_invalid_argument_is_rejected_and_leaves_no_run(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [] if words[0] in ("evaluate", "compare") else ["--runs", str(tmp_path / "runs")]
    assert main([*words, *runs]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words", [["--schedule", "huge"], ["--preset", "slow"], ["--device", "tpu"]], ids=" ".join
)
def test_an_unknown_name_lists_the_choices(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert "choose from" in capsys.readouterr().err


def test_help_lists_options_with_their_bounds_and_the_other_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "--rotation N largest rotation in degrees, either way (0 to 45, default 10.0)" in printed
    for name in ("MNIST_DIR", "evaluate RUN", "compare RUN", "torchrun", "resnet18", "plateau"):
        assert name in printed


def test_predict_prints_the_class_of_each_image(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, labels = written_digits()
    seven = pixels[[*labels].index(7)]
    cv2.imwrite(str(tmp_path / "seven.png"), seven)
    cv2.imwrite(str(tmp_path / "large and dark.png"), cv2.resize(255 - seven, (280, 280)))
    images = [str(tmp_path / name) for name in ("seven.png", "large and dark.png")]
    assert main(["predict", *images, "--run", str(run.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(", ")[0] for line in lines] == [f"{image}: 7" for image in images]
    cv2.imwrite(str(tmp_path / "blank.png"), seven * 0)
    images[0:0] = [str(tmp_path / "absent.png"), str(tmp_path / "blank.png")]
    assert main(["predict", *images, "--run", str(run.folder / "checkpoint.pt")]) == 2
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    for message in (
        f"{images[0]} cannot be opened: No such file",
        "blank.png: the image is blank",
        "2 of 4 images could not be",
    ):
        assert message in captured.err


@pytest.mark.slow
def test_evaluate_reproduces_the_metrics_of_the_run(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run.folder), "--into", str(tmp_path), "--corrupted"]) == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["accuracy"] == run.metrics()["accuracy"]
    assert found["confusion_matrix"] == run.metrics()["confusion_matrix"]
    assert len(found["corrupted"]) == 16  # fifteen corruptions and their mean
    assert found["corrupted"]["shear"] < found["accuracy"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json", "confusion_matrix.png", "sample_predictions.png", "misclassified.png",
        "reliability.png", "corruptions.png",
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert f"{found['accuracy']:.2%} of 200 test images correct" in printed
    assert "zigzag" in printed


def test_evaluate_prints_the_names_of_classes_as_they_are(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Run(Path(copytree(run.folder, tmp_path / "copy")))
    labels = ("[bold]a", "[/b]", ":smile:", *"3456789")
    copy.checkpoint().model_copy(update={"labels": labels}).save(copy.folder / "checkpoint.pt")
    assert main(["evaluate", str(copy.folder), "--into", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(label in printed for label in labels)


@pytest.mark.slow
def test_evaluate_accepts_a_folder_with_images_of_some_classes(run: Run, tmp_path: Path) -> None:
    pixels, labels = written_digits()
    for number in range(600, 640):
        folder = tmp_path / "mine/test" / str(labels[number])
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), pixels[number])
    (tmp_path / "mine/test/9").rename(tmp_path / "nine")
    words = ["evaluate", str(run.folder), "--data", str(tmp_path / "mine"), "--into", str(tmp_path)]
    assert main(words) == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["accuracy"] > 0.8
    assert sum(map(sum, found["confusion_matrix"])) == int((labels[600:640] != 9).sum())


def test_evaluate_accepts_the_file_that_names_the_latest_run(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latest = run.folder.parent / "latest"
    assert latest.read_text().strip() == run.id
    assert main(["evaluate", str(latest), "--into", str(tmp_path)]) == 0
    assert f"({run.folder}, own-test-set)" in capsys.readouterr().out


def test_evaluate_rejects_classes_that_the_run_does_not_know(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cat").mkdir()
    assert main(["evaluate", str(run.folder), "--data", str(tmp_path)]) == 2
    assert "images of unknown classes: cat; the known classes are 0, 1," in capsys.readouterr().err


def test_compare_prints_results_and_differing_recipe_values(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    metrics = run.metrics()
    metrics["recipe"]["epochs"] = 60
    (other / "training_metrics.json").write_text(json.dumps(metrics))
    assert main(["compare", str(run.folder), str(other)]) == 0
    rows = {
        line[:18].strip(): line.split()[-1] for line in capsys.readouterr().out.splitlines() if line
    }
    assert rows["test accuracy"] == f"{metrics['accuracy']:.2%}"
    assert rows["epochs"] == "60"
    assert "batch size" not in rows

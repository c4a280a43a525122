"""The Python API runs the same code as the command line, under the names a notebook expects."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from tests.training.conftest import RECIPE
from training.api import Classifier, MNISTClassifier, MNISTPredictor
from training.data import DataSet
from training.idx import BadData
from training.image import BadImage
from training.loop import Stopped
from training.progress import Epoch
from training.recipe import BadRecipe
from training.run import BadRun, Run
from training.train import train_into

OPTIONS = RECIPE.as_dict() | {"epochs": 2}


@pytest.fixture(scope="module")
def classifier(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> MNISTClassifier:
    """A classifier trained with the small recipe."""
    runs = tmp_path_factory.mktemp("runs")
    return MNISTClassifier(data=small_data, runs=runs, **RECIPE.as_dict()).train()


@pytest.mark.slow
def test_it_trains_the_same_weights_as_the_command_line(
    classifier: MNISTClassifier, run: Run, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.pt")
    ours, theirs = MNISTPredictor(tmp_path / "model.pt").checkpoint, run.checkpoint()
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    assert classifier.evaluate().accuracy == theirs.evaluation.accuracy


def test_a_file_that_cannot_be_written_is_named(
    classifier: MNISTClassifier, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as error:
        classifier.save_model(tmp_path / "no" / "such.pt")
    assert error.value.filename == str(tmp_path / "no" / "such.pt")


def test_it_predicts_files_images_arrays_and_tensors(
    classifier: MNISTClassifier, small_data: DataSet, tmp_path: Path
) -> None:
    pixels, labels = small_data.test
    Image.fromarray(pixels[0]).save(tmp_path / "digit.png")
    for picture in (tmp_path / "digit.png", Image.fromarray(pixels[0]), pixels[0],
                    torch.tensor(pixels[0]) / 255):  # fmt: skip
        digit, confidence, probabilities = classifier.predict(picture)
        assert digit == labels[0]
        assert confidence == probabilities[digit] == probabilities.max()
        assert probabilities.sum() == pytest.approx(1)


def test_batch_predictions_keep_their_order(
    classifier: MNISTClassifier, small_data: DataSet
) -> None:
    pixels, labels = small_data.test
    digits = [prediction.digit for prediction in classifier.predict_batch(pixels)]
    assert np.mean(np.array(digits) == labels) == classifier.evaluate().accuracy
    assert classifier.predict_batch([]) == []


def test_a_predictor_reads_a_run_a_checkpoint_or_a_saved_model(
    run: Run, small_data: DataSet, tmp_path: Path
) -> None:
    picture = small_data.test[0][3]
    answers = [
        MNISTPredictor(path).predict(picture)
        for path in (run.folder, run.folder / "checkpoint.pt", run.folder.parent / "latest")
    ]
    assert len({answer.digit for answer in answers}) == 1
    assert MNISTPredictor(str(run.folder)).labels == tuple("0123456789")
    with pytest.raises(BadRun, match=r"absent\.pt does not exist"):
        MNISTPredictor(tmp_path / "absent.pt")
    with pytest.raises(BadImage, match="blank"):
        MNISTPredictor(run.folder).predict(np.zeros((28, 28), np.uint8))


def test_a_saved_model_can_be_loaded_into_another_classifier(
    classifier: MNISTClassifier, small_data: DataSet, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.pt")
    other = MNISTClassifier(data=small_data).load_model(tmp_path / "model.pt")
    assert other.evaluate() == classifier.evaluate()
    assert (
        other.predict(small_data.test[0][0]).digit
        == classifier.predict(small_data.test[0][0]).digit
    )


@pytest.mark.slow
def test_an_interrupted_training_resumes_in_another_classifier(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.training.test_train import StopAfter

    whole = train_into(tmp_path / "whole", small_data, RECIPE.made_of(OPTIONS))
    StopAfter(monkeypatch, 20)
    first = MNISTClassifier(data=small_data, runs=tmp_path / "first", **OPTIONS)
    with pytest.raises(Stopped):
        first.train()
    first.save_checkpoint(tmp_path / "half.pt")
    for resuming in (
        first,
        MNISTClassifier(data=small_data, runs=tmp_path).load_checkpoint(tmp_path / "half.pt"),
    ):
        resuming.train().save_model(tmp_path / "model.pt")
        weights = MNISTPredictor(tmp_path / "model.pt").checkpoint.weights
        assert all(torch.equal(weights[k], v) for k, v in whole.checkpoint().weights.items())


@pytest.mark.slow
def test_training_twice_creates_two_runs(small_data: DataSet, tmp_path: Path) -> None:
    classifier = MNISTClassifier(data=small_data, runs=tmp_path, **OPTIONS)
    classifier.train()
    classifier.train()
    assert len(list(tmp_path.glob("2*"))) == 2


@pytest.mark.slow
def test_a_training_reports_each_epoch_when_it_ends(small_data: DataSet, tmp_path: Path) -> None:
    reported: list[Epoch] = []
    classifier = MNISTClassifier(data=small_data, runs=tmp_path, **OPTIONS)
    classifier.train(on_epoch=reported.append)
    assert [epoch.epoch for epoch in reported] == list(range(1, classifier.recipe.epochs + 1))
    assert reported[-1].validation_accuracy is not None
    assert Run(classifier.run).metrics()["kept_epoch"] in [epoch.epoch for epoch in reported]


@pytest.mark.slow
def test_the_figures_show_what_was_trained(classifier: MNISTClassifier) -> None:
    for figure in (
        classifier.plot_training_history(),
        classifier.plot_confusion_matrix(),
        classifier.plot_calibration(),
        classifier.show_predictions(num_samples=12),
        classifier.show_errors(num_samples=12),
    ):
        assert isinstance(figure, Figure)
    texts = classifier.show_predictions(num_samples=12).axes[0].texts
    assert len(texts) == 12


def test_the_scheduler_is_chosen_by_name_with_its_options(small_data: DataSet) -> None:
    classifier = MNISTClassifier(data=small_data).set_scheduler("step", decay_every=3)
    assert (classifier.recipe.schedule, classifier.recipe.decay_every) == ("step", 3)
    with pytest.raises(
        BadRecipe, match=r"unknown schedule 'ExponentialLR'; there are one-cycle, .*StepLR"
    ):
        classifier.set_scheduler("ExponentialLR", gamma=0.9)
    assert classifier.recipe.schedule == "step"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("StepLR", {"step_size": 5, "gamma": 0.5}, ("step", 5, 0.5, 2)),
        ("ReduceLROnPlateau", {"factor": 0.3, "patience": 4}, ("plateau", 5, 0.3, 4)),
        ("CosineAnnealingLR", {}, ("cosine", 5, 0.5, 2)),
        ("OneCycleLR", {}, ("one-cycle", 5, 0.5, 2)),
    ],
)
def test_the_scheduler_may_have_its_name_in_pytorch(
    small_data: DataSet, name: str, options: dict[str, Any], expected: tuple[object, ...]
) -> None:
    recipe = MNISTClassifier(data=small_data).set_scheduler(name, **options).recipe
    found = recipe.schedule, recipe.decay_every, recipe.decay_factor, recipe.decay_patience
    assert found == expected


def test_an_evaluation_formats_as_percent(classifier: MNISTClassifier) -> None:
    accuracy = classifier.evaluate()
    assert f"{accuracy:.2f}%" == f"{100 * accuracy.accuracy:.2f}%"
    assert 50 < float(f"{accuracy:.2f}") <= 100
    assert len(accuracy.per_class) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"dropout1": 1.5}, "--dropout1 is 1.5"),
        ({"patience": 2, "validation": 0}, "--patience 2 needs a validation part"),
        ({"epoch": 3}, r"unknown option 'epoch'; did you mean epochs\?"),
        ({"optimizer": "adam"}, r"unknown option 'optimizer'; did you mean optimiser\?"),
        ({"preset": "fast"}, "preset is 'fast', it must be one of: quick, default, better, best"),
    ],
)
def test_an_invalid_option_is_rejected_by_the_constructor(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRecipe, match=message):
        MNISTClassifier(**options)


def test_a_network_and_transforms_of_ones_own_train(small_data: DataSet, tmp_path: Path) -> None:
    from torchvision import transforms

    seen: list[tuple[int, ...]] = []

    def note(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape))
        return image

    transform = transforms.Compose(
        [note, transforms.RandomRotation(10), transforms.RandomAffine(0, translate=(0.1, 0.1))]
    )
    layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    options = OPTIONS | {"network": layers, "learning_rate": 0.01, "epochs": 3}
    classifier = Classifier(data=small_data, runs=tmp_path, transform=transform, **options)
    assert classifier.train().evaluate().accuracy > 0.7
    assert set(seen) == {(1, 28, 28)}


def test_load_model_then_train_goes_on_from_those_weights(
    classifier: MNISTClassifier, small_data: DataSet, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.pt")
    options: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-6, "batch_size": 64, "spoiled": 0}
    other = MNISTClassifier(data=small_data, runs=tmp_path, network="compact", **options)
    accuracy = other.load_model(tmp_path / "model.pt").train().evaluate().accuracy
    assert accuracy == pytest.approx(classifier.evaluate().accuracy, abs=0.02)


def test_load_model_then_train_keeps_the_network_of_the_model(
    small_data: DataSet, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"epochs": 1, "plain_epochs": 1, "batch_size": 64}
    MNISTClassifier(
        data=small_data, runs=tmp_path, network="mlp", hidden_size=20, **options
    ).train().save_model(tmp_path / "model.pt")
    other = MNISTClassifier(data=small_data, runs=tmp_path, **options)
    recipe = other.load_model(tmp_path / "model.pt").recipe
    assert (recipe.network, recipe.hidden_size) == ("mlp", 20)


def test_a_loaded_checkpoint_names_the_options_that_it_does_not_use(
    classifier: MNISTClassifier,
    small_data: DataSet,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    classifier.save_checkpoint(tmp_path / "training.pt")
    other = MNISTClassifier(data=small_data, runs=tmp_path, epochs=50, batch_size=32)
    with pytest.raises(BadRun, match="is a saved training: load_checkpoint reads it"):
        other.load_model(tmp_path / "training.pt")
    other.load_checkpoint(tmp_path / "training.pt")
    assert "goes on with its own recipe, without epochs=50" in caplog.text
    assert "batch_size" not in caplog.text


def test_a_notebook_shows_figures_without_pyplot(classifier: MNISTClassifier) -> None:
    png = classifier.plot_confusion_matrix()._repr_png_()  # type: ignore[attr-defined]
    assert Image.open(BytesIO(png)).width > 300


def test_a_prediction_names_its_class(classifier: MNISTClassifier, small_data: DataSet) -> None:
    found = classifier.predict(small_data.test[0][0])
    assert (found.index, found.label) == (found.digit, str(found.digit))


def test_an_untrained_classifier_rejects_every_use(small_data: DataSet, tmp_path: Path) -> None:
    classifier = MNISTClassifier(data=small_data, runs=tmp_path)
    for call in (
        lambda: classifier.predict(small_data.test[0][0]),
        classifier.evaluate,
        classifier.plot_training_history,
        lambda: classifier.save_checkpoint(tmp_path / "none.pt"),
    ):
        with pytest.raises(BadRun, match=r"call train\(\)"):
            call()


# ---- the data of a loaded model ------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of 40x40 images in colour, and a current folder that has no images."""
    for label, colour in (("red", (250, 30, 30)), ("blue", (30, 30, 250))):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(12):
            colours = np.full((40, 40, 3), colour, np.uint8) + np.uint8(number // 3)
            Image.fromarray(colours).save(tmp_path / "mine" / label / f"{number}.png")
    return tmp_path / "mine"


def quick(data: object, runs: Path, **options: Any) -> MNISTClassifier:
    own = {"network": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))}
    return MNISTClassifier(data=data, runs=runs, epochs=1, threads=1, **own, **options)  # type: ignore[arg-type]


def test_a_loaded_model_goes_on_with_images_read_as_its_own(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quick(images, tmp_path, size=16, preparation="letterbox").train().save_model(tmp_path / "m.pt")
    again = quick(images, tmp_path, size=64).load_model(tmp_path / "m.pt").train()
    assert "read as those of the loaded model, without size=64" in caplog.text
    assert Run.latest(tmp_path).checkpoint().shape == (16, 16, 3)
    assert Run.latest(tmp_path).checkpoint().preparation.kind == "letterbox"
    assert again.evaluate().per_class[0].support == 2


def test_a_loaded_model_does_not_guess_its_images(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(images, tmp_path, size=16, preparation="stretch").train().save_model(tmp_path / "m.pt")
    monkeypatch.chdir(tmp_path)  # which has a folder of the name `mine`
    other = quick(None, tmp_path).load_model("m.pt")
    for use in (other.train, other.evaluate):
        with pytest.raises(BadData, match=r"trained on mine, from .*: name its images with data="):
            use()
    (images / "red").rename(images / "green")
    with pytest.raises(BadData, match="has the classes blue, green; those of the loaded model are"):
        quick(images, tmp_path).load_model("m.pt").train()


def test_a_loaded_checkpoint_reads_its_images_as_before(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = quick(images, tmp_path, size=16, preparation="stretch").train()
    first.save_checkpoint(tmp_path / "training.pt")
    other = quick(images, tmp_path, size=64, limit=3).load_checkpoint(tmp_path / "training.pt")
    assert "without size=64, limit=3" in caplog.text
    assert other.train().evaluate() == first.evaluate()

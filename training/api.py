"""Training from Python, for notebooks and scripts: the same code as `python -m training`.

    from training.api import MNISTClassifier, MNISTPredictor

    classifier = MNISTClassifier(epochs=3, patience=2)
    classifier.train()
    classifier.plot_confusion_matrix()
    digit, confidence, probabilities = classifier.predict("seven.png")
    classifier.save_model("seven.pt")

    MNISTPredictor("seven.pt").predict("another.png").digit

Pictures are paths, PIL images, arrays or tensors of any size: see `training.picture`.
"""

from collections.abc import Iterable
from dataclasses import fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from contract.card import Evaluation
from training import plots
from training.data import DataSet, find_data_set, find_test_pictures
from training.evaluate import Judged, judge, logits_of
from training.loop import Stopped
from training.picture import as_pixels
from training.progress import Epoch
from training.recipe import PRESETS, BadRecipe, Recipe
from training.run import BadRun, Checkpoint, Run
from training.settings import mnist_dir
from training.train import resume, train_into


class Prediction(NamedTuple):
    """What is said of one picture."""

    digit: int  # the class, counted from 0; its name is labels[digit]
    confidence: float  # calibrated probability of it, 0..1
    probabilities: NDArray[np.float32]  # of every class, (classes,), sum 1


class MNISTPredictor:
    """A trained network that answers pictures.

    `path` is a run's folder, its checkpoint.pt or what `save_model` wrote. Raises BadRun if it is
    none of these or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.checkpoint = Run(path).checkpoint() if path.is_dir() else Checkpoint.load(path)
        self.network = self.checkpoint.build()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of class 0, 1, ..."""
        return self.checkpoint.labels

    def predict(self, picture: Any) -> Prediction:
        """The digit on a picture; BadPicture if it is none, or blank."""
        return self.predict_batch([picture])[0]

    def predict_batch(self, pictures: Iterable[Any]) -> list[Prediction]:
        """One prediction a picture, in order."""
        prepared = [as_pixels(picture) for picture in pictures]
        if not prepared:
            return []
        logits = logits_of(self.network, torch.from_numpy(np.stack(prepared)))  # (n, classes)
        rows = torch.softmax(logits / self.checkpoint.temperature, 1).numpy()
        return [Prediction(int(row.argmax()), float(row.max()), row) for row in rows]


class MNISTClassifier:
    """A network to be trained, judged, kept and asked.

    Every knob of `Recipe` is a keyword: batch_size, epochs, learning_rate, dropout1, dropout2,
    patience, min_delta, network, optimiser and all that `python -m training --help` lists. `preset`
    names a way of working; knobs add to it. `data` is a data set's name, a folder of one's own or a
    DataSet; MNIST where it is not given. Runs are left under `runs`, as by the command line.
    Raises BadRecipe, naming the knob, before anything is loaded.
    """

    def __init__(
        self,
        *,
        data: str | Path | DataSet | None = None,
        runs: str | Path = "runs",
        preset: str | None = None,
        **knobs: Any,
    ) -> None:
        if preset is not None and preset not in PRESETS:
            raise BadRecipe(f"preset is {preset!r}, it must be one of: {', '.join(PRESETS)}")
        self._wanted, self._runs = data, Path(runs)
        self._preset = None if preset is None else PRESETS[preset]
        self._knobs = knobs
        self._run: Run | None = None  # the last one trained or loaded
        self._unfinished = False
        self._model: MNISTPredictor | None = None
        Recipe.made_of(self._preset or {}, knobs)

    @property
    def recipe(self) -> Recipe:
        """All knobs, with what the preset or the data set brings."""
        suited = self._data().recipe if self._preset is None else self._preset
        return Recipe.made_of(suited, self._knobs)

    def set_scheduler(self, name: str, **options: Any) -> Self:
        """Choose how the learning rate moves: one-cycle, cosine, step, plateau or none.

        Options: decay_every and decay_factor of step, decay_factor and decay_patience of plateau.
        Raises BadRecipe for others, and while a training waits to go on with its own schedule.
        """
        if self._unfinished:
            raise BadRecipe("a training that was interrupted goes on with its own schedule")
        knobs = self._knobs | {"schedule": name} | options
        Recipe.made_of(self._preset or {}, knobs).check_use(options)
        self._knobs = knobs
        return self

    def train(self) -> Self:
        """Train to the end, or go on after an interruption or `load_checkpoint`.

        Raises Stopped when interrupted: what was reached is kept, `save_checkpoint` saves it, and
        calling `train` again goes on. BadRecipe, BadData, BadRun and OSError name what is wrong.
        """
        data = self._data()
        self._model = None
        try:
            if self._unfinished and self._run is not None:
                self._run = resume(self._run, data)
            else:
                self._run = train_into(self._runs, data, self.recipe)
        except Stopped as stopped:
            if stopped.folder is not None:
                self._run, self._unfinished = Run(stopped.folder), True
            raise
        self._unfinished = False
        self._model = MNISTPredictor(self._run.folder)
        return self

    def evaluate(self, data: str | Path | None = None) -> Evaluation:
        """Accuracy, calibration and precision, recall and F1 of each class on a test set.

        That of the training, or of `data`; BadData if its classes are others.
        """
        return self._judged(data)[0].evaluation()

    def predict(self, image: Any) -> Prediction:
        """The digit on a picture; BadPicture if it is none, or blank."""
        return self._trained().predict(image)

    def predict_batch(self, images: Iterable[Any]) -> list[Prediction]:
        """One prediction a picture, in order."""
        return self._trained().predict_batch(images)

    # ---- files ----------------------------------------------------------------------------------

    def save_model(self, path: str | Path) -> None:
        """Keep the trained network in one file, which MNISTPredictor and `load_model` read."""
        self._trained().checkpoint.save(Path(path))

    def load_model(self, path: str | Path) -> Self:
        """Take a network that was trained before; BadRun if `path` holds none."""
        self._model = MNISTPredictor(path)
        self._run = Run(Path(path)) if Path(path).is_dir() else None
        self._unfinished = False
        return self

    def save_checkpoint(self, path: str | Path) -> None:
        """Keep the training itself in one file: weights, optimiser, counters, recipe."""
        if self._run is None or not self._run.begun:
            raise BadRun("there is no training to save: call train() first")
        self._run.pack(Path(path))

    def load_checkpoint(self, path: str | Path) -> Self:
        """Take up a training that was saved; `train` goes on with its own recipe and data set."""
        self._run = Run.create(self._runs)
        try:
            self._run.unpack(Path(path))
        except BadRun:
            self._run.discard()
            raise
        facts = self._run.facts()
        self._model, self._unfinished = None, True
        self._preset, self._knobs = {}, facts["recipe"]
        self._wanted = self._wanted or facts["data"]["wanted"]
        return self

    # ---- figures ------------------------------------------------------------------------------

    def plot_training_history(self) -> Figure:
        """Loss, accuracy and learning rate by epoch."""
        if self._run is None:
            raise BadRun("there is no training to show: call train() first")
        metrics = self._run.metrics()
        history = [Epoch(**epoch) for epoch in metrics["history"]]
        return plots.loss_graph(history, metrics["kept_epoch"])

    def plot_confusion_matrix(self) -> Figure:
        """What was taken for what on the test set."""
        return plots.confusion_matrix(self._judged()[0])

    def show_predictions(self, num_samples: int = 30) -> Figure:
        """Test pictures with answer and confidence."""
        return plots.sample_predictions(*self._judged(), count=num_samples)

    # ---- what the above is made of ------------------------------------------------------------

    def _data(self) -> DataSet:
        if not isinstance(self._wanted, DataSet):
            wanted = None if self._wanted is None else str(self._wanted)
            self._wanted = find_data_set(wanted, mnist_dir=mnist_dir())
        return self._wanted

    def _trained(self) -> MNISTPredictor:
        if self._model is None:
            raise BadRun("there is no trained network: call train() or load_model() first")
        return self._model

    def _judged(self, data: str | Path | None = None) -> tuple[Judged, NDArray[np.uint8]]:
        """The network's answers to test pictures (n, 28, 28), and the pictures."""
        model = self._trained()
        if data is not None:
            pixels, labels = find_test_pictures(str(data), model.labels, mnist_dir=mnist_dir())[1]
        elif self._run is not None:
            pixels, labels = self._run.test_set()
        else:
            own = self._wanted or model.checkpoint.data_set.name
            if isinstance(own, DataSet):
                pixels, labels = own.test
            else:
                return self._judged(str(own))
        test = torch.tensor(pixels), torch.tensor(labels).long()
        temperature = model.checkpoint.temperature
        return judge(model.network, *test, temperature, model.labels), pixels


def _signature() -> Signature:
    """With every knob by name, for help() and completion."""
    keyword = Parameter.KEYWORD_ONLY
    own = list(signature(MNISTClassifier.__init__).parameters.values())[1:-1]  # without self, knobs
    knobs = [Parameter(knob.name, keyword, default=knob.default) for knob in fields(Recipe)]
    return Signature([*own, *knobs])


MNISTClassifier.__signature__ = _signature()  # type: ignore[attr-defined]

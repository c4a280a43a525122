"""Training from Python, for notebooks and scripts: the same code as `python -m training`.

    from training.api import MNISTClassifier, MNISTPredictor

    classifier = MNISTClassifier(epochs=3, patience=2)
    classifier.train()
    classifier.plot_confusion_matrix()
    digit, confidence, probabilities = classifier.predict("seven.png")
    classifier.save_model("seven.pt")

    MNISTPredictor("seven.pt").predict("another.png").digit

`Classifier` and `Predictor` are the same classes. Images are paths, PIL images, arrays or tensors
of any size: see `training.image`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from contract.card import Evaluation
from training import plots
from training.augment import Transform
from training.data import NAMES, DataSet, find_data_set, find_test_images, suited
from training.evaluate import Judged, judge, logits_of
from training.idx import BadData
from training.image import as_pixels
from training.loop import Stopped
from training.networks.own import Build, registered
from training.presets import PRESETS
from training.progress import Epoch, OnEpoch
from training.reading import Reading
from training.recipe import SCHEDULES, BadRecipe, Recipe
from training.run import BadRun, Checkpoint, Run
from training.settings import mnist_dir
from training.train import resume, train_into
from training.vision import declare_missing_operators

declare_missing_operators()  # for `from torchvision import transforms`

log = logging.getLogger("training")


class EvaluationResult(Evaluation):
    """Results on a test set. As text with a format it is the accuracy in percent: f"{result:.2f}%"
    is 99.63%.
    """

    def __format__(self, spec: str) -> str:
        return format(100 * self.accuracy, spec) if spec else str(self)


# The names of PyTorch's schedulers and of their options, in those of `Recipe`.
SCHEDULERS = {
    "OneCycleLR": "one-cycle", "CosineAnnealingLR": "cosine", "StepLR": "step",
    "ReduceLROnPlateau": "plateau",
}  # fmt: skip
SCHEDULER_OPTIONS = {
    "step_size": "decay_every", "gamma": "decay_factor", "factor": "decay_factor",
    "patience": "decay_patience",
}  # fmt: skip


class _Prediction(NamedTuple):
    digit: int  # index of the class
    confidence: float  # its calibrated probability, 0..1
    probabilities: NDArray[np.float32]  # of every class, (classes,), sum 1


class Prediction(_Prediction):
    """The prediction for one image: a tuple of digit, confidence and probabilities.

    `index` is another name for `digit`, and `label` is the name of that class.
    """

    label: str

    def __new__(cls, probabilities: NDArray[np.float32], labels: Sequence[str]) -> Self:
        index = int(probabilities.argmax())
        self = super().__new__(cls, index, float(probabilities[index]), probabilities)
        self.label = labels[index]
        return self

    @property
    def index(self) -> int:  # type: ignore[override]  # in place of the tuple's search
        return self.digit


class MNISTPredictor:
    """A trained network that classifies images.

    `path` is the folder of a run (runs/latest stands for the last one), its checkpoint.pt or a file
    written by `save_model`. Raises BadRun if it is none of these or damaged. A file of a network of
    one's own is loaded only with `network`, its name module:callable or the callable or module
    itself: building it runs code.
    """

    def __init__(self, path: str | Path, *, network: str | Build | nn.Module | None = None) -> None:
        run = Run.named(Path(path))
        if run.folder.is_dir():
            self.checkpoint = run.checkpoint()
        else:
            if network is not None and not isinstance(network, str):
                network = registered(network)
            self.checkpoint = Checkpoint.load(Path(path), network)
        self.network = self.checkpoint.build()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of class 0, 1, ..."""
        return self.checkpoint.labels

    def predict(self, image: Any) -> Prediction:
        """The class of an image; BadImage if it is not an image, or blank."""
        return self.predict_batch([image])[0]

    def predict_batch(self, images: Iterable[Any]) -> list[Prediction]:
        """One prediction for each image, in order."""
        prepare, labels = self.checkpoint.prepare, self.checkpoint.labels
        prepared = [as_pixels(image, prepare, labels) for image in images]
        if not prepared:
            return []
        logits = logits_of(self.network, torch.from_numpy(np.stack(prepared)))  # (n, classes)
        rows = torch.softmax(logits / self.checkpoint.temperature, 1).numpy()
        return [Prediction(row, self.labels) for row in rows]


class MNISTClassifier:
    """A network to train, evaluate, save and use for predictions.

    Every option of `Recipe` is a keyword: batch_size, epochs, learning_rate, dropout1, dropout2,
    patience, min_delta, network, optimiser and all others that `python -m training --help` lists.
    `network` may also be a module, or a callable that returns one: see `training.networks.own`.
    Other processes, such as `python -m export`, can build it only if they can import it: if it is a
    function or class of a module.
    `transform` augments the training images in place of the recipe's options: it receives each as a
    float tensor (c, h, w), 0..1, as torchvision's transforms do, and returns one of that shape.
    `preset` is a named recipe, which options modify. `data` is the name of a data set, a folder
    with your own images or a DataSet; by default it is MNIST. `size`, `gray`, `limit` and
    `preparation` say how its images are read: see `training.reading.Reading`. Runs are written to
    `runs`, as by the command line. Raises BadRecipe or BadData, naming the option, before anything
    is loaded.
    """

    def __init__(
        self,
        *,
        data: str | Path | DataSet | None = None,
        runs: str | Path = "runs",
        preset: str | None = None,
        size: int | None = None,
        gray: bool | None = None,
        limit: int | None = None,
        preparation: str = "auto",
        network: str | Build | nn.Module | None = None,
        transform: Transform | None = None,
        **options: Any,
    ) -> None:
        if preset is not None and preset not in PRESETS:
            raise BadRecipe(f"preset is {preset!r}, it must be one of: {', '.join(PRESETS)}")
        self._given, self._runs = data, Path(runs)
        self._wanted = data  # or, after load_model or load_checkpoint, the data that these name
        self._found: DataSet | None = None  # what was read of it
        self._given_reading = Reading.of(size=size, gray=gray, limit=limit, preparation=preparation)
        self._reading = self._given_reading
        self._preset = None if preset is None else PRESETS[preset]
        if network is not None:
            options["network"] = network if isinstance(network, str) else registered(network)
        self._options, self._transform = options, transform
        self._start: Checkpoint | None = None  # of load_model, from which `train` goes on
        self._run: Run | None = None  # the last one that was trained or loaded
        self._unfinished = False
        self._model: MNISTPredictor | None = None
        Recipe.made_of(self._preset or {}, options)

    @property
    def data(self) -> DataSet:
        """The images to train on and to test with; BadData if they cannot be read."""
        return self._data()

    @property
    def run(self) -> Path:
        """The folder of the run that was trained or loaded; BadRun if there is none."""
        if self._run is None:
            raise BadRun("there is no run: call train() first")
        return self._run.folder

    @property
    def recipe(self) -> Recipe:
        """All options, with those of the preset or the data set."""
        suitable = suited(self._data(), self._preset)
        same = {} if self._start is None else self._start.architecture
        return Recipe.made_of(suitable, same, self._options)

    def set_scheduler(self, name: str, **options: Any) -> Self:
        """Choose the learning rate schedule: one-cycle, cosine, step, plateau or none.

        Options are decay_every and decay_factor for step, decay_factor and decay_patience for
        plateau. PyTorch's names are accepted: set_scheduler("StepLR", step_size=5, gamma=0.5).
        Raises BadRecipe for others, and if an interrupted training is to be resumed.
        """
        if self._unfinished:
            raise BadRecipe("an interrupted training is resumed with its own schedule")
        if name not in (*SCHEDULES, *SCHEDULERS):
            raise BadRecipe(
                f"unknown schedule {name!r}; there are {', '.join(SCHEDULES)}, and under PyTorch's "
                f"names {', '.join(SCHEDULERS)}"
            )
        if name in SCHEDULERS:
            name = SCHEDULERS[name]
            options = {SCHEDULER_OPTIONS.get(each, each): options[each] for each in options}
        changed = self._options | {"schedule": name} | options
        Recipe.made_of(self._preset or {}, changed).check_use(options)
        self._options = changed
        return self

    def train(self, on_epoch: OnEpoch | None = None) -> Self:
        """Train to the end, or resume after an interruption or `load_checkpoint`.

        After `load_model` it starts with the weights that were loaded. `on_epoch` is called after
        each epoch with its results, an Epoch, for instance to draw them.

        Raises Stopped when interrupted: the state is kept, `save_checkpoint` writes it to a file,
        and calling `train` again resumes it. BadRecipe, BadData, BadRun and OSError give the reason
        of a failure.
        """
        data = self._data()
        self._model = None
        try:
            if self._unfinished and self._run is not None:
                self._run = resume(self._run, data, transform=self._transform, on_epoch=on_epoch)
            else:
                self._run = train_into(
                    self._runs,
                    data,
                    self.recipe,
                    transform=self._transform,
                    start=self._start,
                    on_epoch=on_epoch,
                )
        except Stopped as stopped:
            if stopped.folder is not None:
                self._run, self._unfinished = Run(stopped.folder), True
            raise
        self._unfinished, self._start = False, None
        self._model = MNISTPredictor(self._run.folder)
        return self

    def evaluate(self, data: str | Path | None = None) -> EvaluationResult:
        """Accuracy, calibration, and precision, recall and F1 of each class on a test set.

        The test set is that of the training, or `data`; BadData if `data` has other classes.
        """
        return EvaluationResult.model_validate(dict(self._judged(data)[0].evaluation()))

    def predict(self, image: Any) -> Prediction:
        """The class of an image; BadImage if it is not an image, or blank."""
        return self._trained().predict(image)

    def predict_batch(self, images: Iterable[Any]) -> list[Prediction]:
        """One prediction for each image, in order."""
        return self._trained().predict_batch(images)

    # ---- files ----------------------------------------------------------------------------------

    def save_model(self, path: str | Path) -> None:
        """Write the trained network to a file, which MNISTPredictor and `load_model` read."""
        self._trained().checkpoint.save(Path(path))

    def load_model(self, path: str | Path) -> Self:
        """Load a trained network, from whose weights `train` goes on; BadRun if there is none.

        A file of a network of one's own is loaded only if it is this classifier's `network`. The
        data's images are read as those of the model were; a warning names options that differ.
        """
        self._model = MNISTPredictor(path, network=self._options.get("network"))
        self._start = start = self._model.checkpoint
        run = Run.named(Path(path))
        self._run = run if run.folder.is_dir() else None
        self._unfinished = False
        known = start.data_set.name if start.data_set.name in NAMES else None
        if self._run is not None and self._run.has_facts:
            known = self._run.facts()["data"]["wanted"]
        gray, limit = len(start.shape) == 2, self._given_reading.limit
        self._read(known, Reading(gray=gray, limit=limit, preparation=start.preparation))
        return self

    def save_checkpoint(self, path: str | Path) -> None:
        """Write the training itself to a file: weights, optimiser, counters and recipe."""
        if self._run is None or not self._run.resumable:
            raise BadRun("there is no training to save: call train() first")
        self._run.pack(Path(path))

    def load_checkpoint(self, path: str | Path) -> Self:
        """Load a saved training, which `train` resumes with its own recipe and data set.

        A warning names the options of this classifier that are not used, as they differ.
        """
        self._run = Run.create(self._runs)
        try:
            self._run.unpack(Path(path), self._options)
        except BadRun:
            self._run.discard()
            raise
        facts = self._run.facts()
        self._model, self._start, self._unfinished = None, None, True
        self._warn_of_unused(facts["recipe"])
        self._preset, self._options = {}, facts["recipe"]
        self._read(facts["data"]["wanted"], Reading.of_facts(facts["data"]))
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
        """Labels and predictions on the test set."""
        return plots.confusion_matrix(self._judged()[0])

    def show_predictions(self, num_samples: int = 30) -> Figure:
        """Test images with prediction and confidence."""
        judged, pixels = self._judged()
        shown = plots.as_seen(pixels, self._trained().checkpoint.preparation)
        return plots.sample_predictions(judged, shown, count=num_samples)

    def show_errors(self, num_samples: int = 30) -> Figure:
        """The misclassified test images, the most confident errors first."""
        judged, pixels = self._judged()
        shown = plots.as_seen(pixels, self._trained().checkpoint.preparation)
        return plots.misclassified(judged, shown, count=num_samples)

    def plot_calibration(self) -> Figure:
        """The accuracy of predictions by their confidence, before and after the temperature."""
        return plots.reliability_diagram(self._judged()[0])

    # ---- private ------------------------------------------------------------

    def _warn_of_unused(self, recipe: Mapping[str, Any]) -> None:
        wanted = {**(self._preset or {}), **self._options}
        unused = [f"{name}={value!r}" for name, value in wanted.items() if recipe[name] != value]
        if unused:
            log.warning(
                "The saved training goes on with its own recipe, without %s", ", ".join(unused)
            )

    def _read(self, known: str | None, reading: Reading) -> None:
        """Read the given data, or else the data that is `known`, in this way from now on."""
        self._wanted, self._found = self._given or known, None
        self._reading = reading
        if unused := self._given_reading.differences(reading):
            log.warning(
                "The images are read as those of the loaded model, without %s", ", ".join(unused)
            )

    def _data(self) -> DataSet:
        """The data set; BadData if it does not fit the model that was loaded."""
        wanted = self._named_data()
        if isinstance(wanted, DataSet):
            self._found = wanted
        elif self._found is None:
            wanted = None if wanted is None else str(wanted)
            self._found = find_data_set(wanted, mnist_dir=mnist_dir(), reading=self._reading)
        if self._start is not None:
            self._found.check_fits(self._start.labels, self._start.prepare)
        return self._found

    def _named_data(self) -> str | Path | DataSet | None:
        if self._wanted is None and self._start is not None:
            facts = self._start.data_set
            raise BadData(
                f"the loaded model was trained on {facts.name}, from {facts.source}: name its "
                "images with data="
            )
        return self._wanted

    def _trained(self) -> MNISTPredictor:
        if self._model is None:
            raise BadRun("there is no trained network: call train() or load_model() first")
        return self._model

    def _judged(self, data: str | Path | None = None) -> tuple[Judged, NDArray[np.uint8]]:
        """The network's outputs for test images, and the pixels (n, h, w) or (n, h, w, 3)."""
        model = self._trained()
        if data is not None:
            prepare = model.checkpoint.prepare
            pixels, labels = find_test_images(
                str(data), model.labels, prepare=prepare, mnist_dir=mnist_dir()
            )[1]
        elif self._run is not None:
            pixels, labels = self._run.test_set()
        else:
            own = self._named_data()
            if not isinstance(own, DataSet):
                return self._judged(str(own))
            pixels, labels = self._data().test
        test = torch.tensor(pixels), torch.tensor(labels).long()
        temperature = model.checkpoint.temperature
        return judge(model.network, *test, temperature, model.labels), pixels


def _signature() -> Signature:
    """With every option by name, for help() and completion."""
    _, *own, _ = signature(MNISTClassifier.__init__).parameters.values()  # without self, options
    own = [parameter for parameter in own if parameter.name != "network"]
    options = [
        Parameter(option.name, Parameter.KEYWORD_ONLY, default=option.default)
        for option in fields(Recipe)
    ]
    return Signature([*own, *options])


MNISTClassifier.__signature__ = _signature()  # type: ignore[attr-defined]

Classifier, Predictor = MNISTClassifier, MNISTPredictor

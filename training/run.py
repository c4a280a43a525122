"""The folder that a training writes. It holds everything that export needs.

    runs/<id>/run.json              data set, recipe and start of the training; written first
              last.pt               state after each epoch, all that `--resume` needs
              metrics.jsonl         one line for each epoch
              progress.jsonl        one line a second, also of its teachers: contract.jobs.Progress
              checkpoint.pt         weights, recipe, labels, temperature, evaluation
              test_set.npz          the test images, with which export proves its artifacts
              validation_set.npz    the validation images, on which export finds the threshold
              also.npz              images of --also that are trained on
              corrections.npz       those that are held out, by which export judges the model too
              non_digits.npz        images that are no digit: those by which export finds the
                                    threshold, and those by which it measures the effect
              calibration.npz       training images, on which export calibrates int8
              trained_on.bin        digests of all images that were trained or validated on, by
                                    which export recognises them among test images
              training_metrics.json everything measured, for people and plots
              *.png                 the plots
              tensorboard/          the same for `tensorboard --logdir runs`
              teachers/<n>/         the runs of the teacher networks
    runs/latest                     the id of the last run that was completed

The id of a run is the time at which it began, or that of the retraining job it belongs to.
checkpoint.pt is written last, except for runs/latest and the plots: once it exists, export has all
that it needs, and `--resume` writes those of a training that was stopped just then. Every file is
replaced as a whole, so a full disk or a power cut leaves the previous one.

A run folder is its user's own, like the code beside it: a network module:callable that it names is
imported. A single file, which may come from anybody, is treated otherwise: see `Checkpoint.load`.
"""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.files import replace_together
from contract.settings import train_command
from training.checkpoint import (
    SAVED_TRAINING,
    BadRun,
    Checkpoint,
    HeldOut,
    Images,
    load,
    load_digests,
    load_held_out,
    load_images,
    load_non_digits,
    load_pixels,
    save,
    save_images,
)
from training.networks.own import BadNetwork, permitted
from training.progress import Epoch

__all__ = ["BadRun", "Checkpoint", "Run"]  # what other modules need to know of a run

CHECKPOINT, TEST_SET, FACTS, LAST = "checkpoint.pt", "test_set.npz", "run.json", "last.pt"
CALIBRATION, VALIDATION_SET = "calibration.npz", "validation_set.npz"
NON_DIGITS = "non_digits.npz"
ALSO, CORRECTIONS, TRAINED_ON = "also.npz", "corrections.npz", "trained_on.bin"
EPOCHS, METRICS = "metrics.jsonl", "training_metrics.json"
PROGRESS = "progress.jsonl"
LAST_PLOT = "loss_graph.png"  # of those that `write_plots` writes together
TEACHERS = "teachers"
SPARE = 10 * 2**20  # bytes, for plots and metrics


class Run:
    """A run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        return self.folder.name

    @classmethod
    def create(cls, root: Path, job: str | None = None) -> Self:
        """A new run folder, also if another run begins in the same second.

        That of a retraining job may exist and hold files of the job; BadRun if it is a run already.
        """
        root.mkdir(parents=True, exist_ok=True)
        if job is not None:
            run = cls(root / job)
            if run.has_facts:
                raise BadRun(f"{run.folder} exists already: resume it with --resume {run.folder}")
            run.folder.mkdir(exist_ok=True)
            return run
        began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for attempt in range(1, 100):
            try:
                folder = root / (began if attempt == 1 else f"{began}-{attempt}")
                folder.mkdir()
                return cls(folder)
            except FileExistsError:
                continue
        raise BadRun(f"{root} has 99 runs that began in this second")

    @classmethod
    def latest(cls, root: Path) -> Self:
        """The last run under `root` that was completed."""
        try:
            return cls(root / (root / "latest").read_text().strip())
        except OSError as error:
            raise BadRun(
                f"{root} holds no finished run: train one first ({train_command()})"
            ) from error

    @classmethod
    def named(cls, path: Path) -> Self:
        """The run in a folder; `latest` stands for the run that this file names."""
        return cls.latest(path.parent) if path.name == "latest" and path.is_file() else cls(path)

    def teacher(self, number: int) -> Self:
        """The run of a teacher network. Its folder may not exist yet."""
        return type(self)(self.folder / TEACHERS / str(number))

    @property
    def number(self) -> int | None:
        """The number of a teacher's run; None: it is not one."""
        return int(self.folder.name) if self.folder.parent.name == TEACHERS else None

    @property
    def progress(self) -> Path:
        """The file of the progress, which a training shares with its teachers."""
        folder = self.folder if self.number is None else self.folder.parent.parent
        return folder / PROGRESS

    @property
    def resumable(self) -> bool:
        """Whether a state was saved from which the training can be resumed."""
        return (self.folder / LAST).exists()

    @property
    def ended(self) -> bool:
        """Whether the weights are final."""
        return (self.folder / CHECKPOINT).exists()

    @property
    def completed(self) -> bool:
        """Whether all files were written: the plots are the last ones."""
        return self.ended and (self.folder / LAST_PLOT).exists()

    def discard(self) -> None:
        """Remove a run that cannot be resumed."""
        shutil.rmtree(self.folder)

    # ---- while it trains ----------------------------------------------------------------------

    def begin(
        self, facts: dict[str, Any], also: Images | None = None, held_out: HeldOut | None = None
    ) -> None:
        """Write the images of `--also`, if there are any, and then run.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if also is not None and len(also[1]):
            save_images(self.folder / ALSO, pixels=also[0], labels=also[1])
        if held_out is not None and len(held_out.labels):
            reviewed = held_out.reviewed.astype(np.uint8)
            save_images(
                self.folder / CORRECTIONS,
                pixels=held_out.pixels,
                labels=held_out.labels,
                reviewed=reviewed,
            )
        self._write(FACTS, json.dumps(facts, indent=2) + "\n")

    @property
    def has_facts(self) -> bool:
        """Whether run.json says what it was trained on; the export of a file has none."""
        return (self.folder / FACTS).exists()

    def facts(self) -> dict[str, Any]:
        """The content of run.json."""
        facts = self._read(FACTS, f"{self.folder} is not a run: {FACTS} is missing")
        if not isinstance(facts, dict) or not {"data", "recipe"} <= set(facts):
            raise BadRun(f"{self.folder / FACTS} does not name the data and the recipe of a run")
        return facts

    def check_room(self, size: int) -> None:
        """BadRun if the disk has no room for `size` bytes of weights and images."""
        free = shutil.disk_usage(self.folder).free
        if free < size + SPARE:
            raise BadRun(
                f"{self.folder} has {free / 1e6:,.0f} MB free, this training needs about "
                f"{(size + SPARE) / 1e6:,.0f}: free some space, or set another folder with --runs"
            )

    def save(self, state: dict[str, Any]) -> None:
        """Save the state from which the training can be resumed, and the history for people."""
        save(self.folder / LAST, state)
        self._write(EPOCHS, "".join(json.dumps(epoch) + "\n" for epoch in state["history"]))

    def state(self) -> dict[str, Any]:
        """The state that was last saved."""
        state: dict[str, Any] = load(self.folder / LAST)
        return state

    def pack(self, path: Path) -> None:
        """Write `state` and `facts` to one file."""
        save(path, {"facts": json.dumps(self.facts()), "state": self.state()})

    def unpack(self, path: Path, networks: Mapping[str, str]) -> None:
        """Continue in this folder a training that `pack` has written.

        `networks` are those of module:callable that this user gave, by option of the recipe: BadRun
        if the file names others.
        """
        packed = load(path)
        if not isinstance(packed, dict) or set(packed) != SAVED_TRAINING:
            raise BadRun(f"{path} is not a saved training: save_checkpoint writes one")
        facts = json.loads(packed["facts"])
        recipe = facts.get("recipe", {})
        try:
            for option in {"network", "teacher_network"} & set(recipe):
                recipe[option] = permitted(path, str(recipe[option]), networks.get(option))
        except BadNetwork as error:
            raise BadRun(str(error)) from error
        self.begin(facts)
        self.save(packed["state"])

    # ---- at its end ---------------------------------------------------------------------------

    def make_latest(self) -> None:
        replace_together({self.folder.parent / "latest": f"{self.id}\n".encode()})

    def complete(
        self,
        checkpoint: Checkpoint,
        test_set: Images,
        validation_set: Images | None,
        calibration: NDArray[np.uint8],
        trained_on: Collection[bytes],
        history: list[Epoch],
        non_digits: Sequence[NDArray[np.uint8]] | None = None,
        **measured: Any,
    ) -> None:
        """Write everything, the checkpoint last.

        `trained_on` are digests of images, `non_digits` those for validation and for testing.
        """
        for file, images in ((TEST_SET, test_set), (VALIDATION_SET, validation_set)):
            if images is not None:
                save_images(self.folder / file, pixels=images[0], labels=images[1])
        save_images(self.folder / CALIBRATION, pixels=calibration)
        if non_digits is not None:
            validation, test = non_digits
            save_images(self.folder / NON_DIGITS, validation=validation, test=test)
        replace_together({self.folder / TRAINED_ON: b"".join(trained_on)})
        facts = checkpoint.model_dump(mode="json", exclude={"weights"})
        epochs = [epoch._asdict() for epoch in history]
        metrics = facts | measured | {"history": epochs}
        self._write(METRICS, json.dumps(metrics, indent=2) + "\n")
        checkpoint.save(self.folder / CHECKPOINT)

    def checkpoint(self) -> Checkpoint:
        path = self.folder / CHECKPOINT
        if not self.folder.is_dir():
            raise BadRun(f"{self.folder} is not a run: name a folder of runs/, or train one")
        if not self.ended:
            advice = f"resume it with --resume {self.folder}" if self.resumable else "train again"
            raise BadRun(f"{path} is missing: the run was not completed, {advice}")
        return Checkpoint.read(path)

    def metrics(self) -> dict[str, Any]:
        """The content of training_metrics.json."""
        path = self.folder / METRICS
        metrics: dict[str, Any] = self._read(METRICS, f"{path} is missing: no completed run")
        return metrics

    def report_files(self) -> list[Path]:
        """Metrics and plots, for people."""
        return [self.folder / METRICS, *sorted(self.folder.glob("*.png"))]

    def test_set(self) -> Images:
        return load_images(self.folder / TEST_SET)

    def validation_set(self) -> Images | None:
        """The validation images; None if there were none, or if an older run did not save them."""
        path = self.folder / VALIDATION_SET
        return load_images(path) if path.exists() else None

    def also(self) -> Images | None:
        """The images of `--also` that are trained on; None if there are none."""
        path = self.folder / ALSO
        return load_images(path) if path.exists() else None

    def corrections(self) -> HeldOut | None:
        """Corrections of users that were held out; None if there are none."""
        path = self.folder / CORRECTIONS
        return load_held_out(path) if path.exists() else None

    def non_digits(self) -> list[NDArray[np.uint8]] | None:
        """Images (n, 28, 28) that are no digit, for validation and for testing; None: no share of
        them was trained on.
        """
        path = self.folder / NON_DIGITS
        return load_non_digits(path) if path.exists() else None

    def calibration(self) -> NDArray[np.uint8]:
        """Pixels (n, h, w) or (n, h, w, 3) of some training images."""
        return load_pixels(self.folder / CALIBRATION)

    def trained_on(self) -> frozenset[bytes]:
        """Digests of the images that were trained or validated on; none if an older run has none.

        BadRun if the file is damaged.
        """
        path = self.folder / TRAINED_ON
        return load_digests(path) if path.exists() else frozenset()

    def _write(self, name: str, text: str) -> None:
        replace_together({self.folder / name: text.encode()})

    def _read(self, name: str, if_missing: str) -> Any:
        """The content of a JSON file; BadRun if it is missing or damaged."""
        try:
            return json.loads((self.folder / name).read_text())
        except OSError as error:
            raise BadRun(if_missing) from error
        except ValueError as error:
            raise BadRun(f"{self.folder / name} is damaged: {error}") from error

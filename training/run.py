"""The folder that a training writes; it holds all that export needs.

    runs/<id>/run.json              what is trained on what; written first
              last.pt               each epoch: all that `--resume` needs, best weights included
              metrics.jsonl         one line an epoch, written as it ends
              checkpoint.pt         weights, recipe, labels, temperature, evaluation
              test_set.npz          the pictures it was judged by: export proves itself on them
              validation_set.npz    those held out: export finds on them what is sure enough
              calibration.npz       some it learned from: export measures ranges for int8 on them
              training_metrics.json everything measured, for people and plots
              *.png                 the plots
              tensorboard/          the same for `tensorboard --logdir runs`
              teachers/<n>/         runs of the networks it learned from
    runs/latest                     the id of the last run that ended well

A run's id is the time it began. All that export needs is there once checkpoint.pt is: it is written
last, only the plots follow. Every file is written under another name and renamed, so a full disk
or a power cut leaves the one before it.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from training.checkpoint import (
    BadRun,
    Checkpoint,
    Pictures,
    kept_pictures,
    kept_pixels,
    load,
    replace,
    replace_text,
    save_arrays,
)
from training.progress import Epoch

__all__ = ["BadRun", "Checkpoint", "Run", "load"]  # all that others need to know of a run

CHECKPOINT, TEST_SET, FACTS, LAST = "checkpoint.pt", "test_set.npz", "run.json", "last.pt"
CALIBRATION, VALIDATION_SET = "calibration.npz", "validation_set.npz"
EPOCHS, METRICS = "metrics.jsonl", "training_metrics.json"
SPARE = 10 * 2**20  # bytes, for plots and metrics


class Run:
    """A run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        return self.folder.name

    @classmethod
    def create(cls, root: Path) -> Self:
        """A new, empty run folder; two that begin in the same second get two."""
        root.mkdir(parents=True, exist_ok=True)
        began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for attempt in range(1, 100):
            try:
                folder = root / (began if attempt == 1 else f"{began}-{attempt}")
                folder.mkdir()
                return cls(folder)
            except FileExistsError:
                continue
        raise BadRun(f"{root} has 99 runs of this second")

    @classmethod
    def latest(cls, root: Path) -> Self:
        """The last run under `root` that ended well."""
        try:
            return cls(root / (root / "latest").read_text().strip())
        except OSError as error:
            raise BadRun(f"{root} holds no finished run: train one first (make train)") from error

    def teacher(self, number: int) -> Self:
        """The run of one of the networks that this one learns from; its folder may not be there."""
        return type(self)(self.folder / "teachers" / str(number))

    @property
    def begun(self) -> bool:
        """Whether there is something to go on from."""
        return (self.folder / LAST).exists()

    @property
    def ended(self) -> bool:
        return (self.folder / CHECKPOINT).exists()

    def discard(self) -> None:
        """Take back a run that has nothing to go on from."""
        shutil.rmtree(self.folder)

    # ---- while it trains ----------------------------------------------------------------------

    def begin(self, facts: dict[str, Any]) -> None:
        """Write down what is trained on what."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_text(self.folder / FACTS, json.dumps(facts, indent=2) + "\n")

    def facts(self) -> dict[str, Any]:
        path = self.folder / FACTS
        facts = _document(path, f"{self.folder} is no run: {path.name} is not there")
        if not isinstance(facts, dict) or not {"data", "recipe"} <= set(facts):
            raise BadRun(f"{path} does not name the data and the recipe of a run")
        return facts

    def check_room(self, size: int) -> None:
        """Refuse to begin what `size` bytes of weights and pictures will not fit the disk."""
        free = shutil.disk_usage(self.folder).free
        if free < size + SPARE:
            raise BadRun(
                f"{self.folder} has {free / 1e6:,.0f} MB free, this training needs about "
                f"{(size + SPARE) / 1e6:,.0f}: make room, or name another folder with --runs"
            )

    def save(self, state: dict[str, Any]) -> None:
        """Keep all that is needed to go on, and the history for people."""
        replace(self.folder / LAST, lambda draft: torch.save(state, draft))
        lines = "".join(json.dumps(epoch) + "\n" for epoch in state["history"])
        replace_text(self.folder / EPOCHS, lines)

    def state(self) -> dict[str, Any]:
        """What was last saved."""
        state: dict[str, Any] = load(self.folder / LAST)
        return state

    def pack(self, path: Path) -> None:
        """Keep what `state` and `facts` say in one file."""
        packed = {"facts": json.dumps(self.facts()), "state": self.state()}
        replace(path, lambda draft: torch.save(packed, draft))

    def unpack(self, path: Path) -> None:
        """Take up in this folder what another run's `pack` has kept."""
        packed = load(path)
        if not isinstance(packed, dict) or set(packed) != {"facts", "state"}:
            raise BadRun(f"{path} holds no training that could go on: save_checkpoint writes one")
        self.begin(json.loads(packed["facts"]))
        self.save(packed["state"])

    # ---- at its end ---------------------------------------------------------------------------

    def finish(
        self,
        checkpoint: Checkpoint,
        test_set: Pictures,
        validation_set: Pictures | None,
        calibration: NDArray[np.uint8],
        history: list[Epoch],
        **measured: Any,
    ) -> None:
        """Write everything, the checkpoint last, and make this the latest run."""
        for file, pictures in ((TEST_SET, test_set), (VALIDATION_SET, validation_set)):
            if pictures is not None:
                save_arrays(self.folder / file, pixels=pictures[0], labels=pictures[1])
        save_arrays(self.folder / CALIBRATION, pixels=calibration)
        facts = checkpoint.model_dump(mode="json", exclude={"weights"})
        epochs = [epoch._asdict() for epoch in history]
        text = json.dumps(facts | measured | {"history": epochs}, indent=2) + "\n"
        replace_text(self.folder / METRICS, text)
        checkpoint.save(self.folder / CHECKPOINT)
        replace_text(self.folder.parent / "latest", self.id + "\n")

    def checkpoint(self) -> Checkpoint:
        path = self.folder / CHECKPOINT
        if not self.folder.is_dir():
            raise BadRun(f"{self.folder} is no run: name a folder of runs/, or train one")
        if not self.ended:
            advice = f"go on with --resume {self.folder}" if self.begun else "train again"
            raise BadRun(f"{path} is not there: the run did not end, {advice}")
        return Checkpoint.load(path)

    def metrics(self) -> dict[str, Any]:
        """What training_metrics.json holds."""
        path = self.folder / METRICS
        metrics: dict[str, Any] = _document(path, f"{path} is not there: the run did not end")
        return metrics

    def report_files(self) -> list[Path]:
        """Metrics and plots, for people."""
        return [self.folder / METRICS, *sorted(self.folder.glob("*.png"))]

    def test_set(self) -> Pictures:
        return kept_pictures(self.folder / TEST_SET)

    def validation_set(self) -> Pictures | None:
        """What was held out; None if nothing was, or the run is of before it was kept."""
        path = self.folder / VALIDATION_SET
        return kept_pictures(path) if path.exists() else None

    def calibration(self) -> NDArray[np.uint8]:
        """Pixels (n, 28, 28) of some pictures that the weights learned from."""
        return kept_pixels(self.folder / CALIBRATION)


def _document(path: Path, unless_there: str) -> Any:
    """What a JSON file says."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise BadRun(unless_there) from error
    except ValueError as error:
        raise BadRun(f"{path} is damaged: {error}") from error

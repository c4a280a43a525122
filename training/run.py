"""What a training leaves behind: one folder that holds all that export needs.

    runs/<id>/checkpoint.pt           weights, recipe, labels, temperature, evaluation
              test_set.npz            the pictures it was judged by: export proves itself on them
              metrics.jsonl           one line an epoch, written as it ends
              training_metrics.json   everything measured, for people and plots
    runs/latest                       the id of the last run that ended well

A run's id is the time it began. The folder is complete once checkpoint.pt is there: that file is
written last and renamed into place.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from contract.card import DataFacts, Evaluation
from training.model import Compact
from training.progress import Epoch

CHECKPOINT, TEST_SET = "checkpoint.pt", "test_set.npz"
EPOCHS, METRICS = "metrics.jsonl", "training_metrics.json"
NETWORKS = {"compact": Compact}


class BadRun(Exception):
    """A run folder is missing, unfinished or damaged; the message names the file and what to do."""


class Checkpoint(BaseModel):
    """A trained network and everything needed to build, judge and describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    network: str  # a key of NETWORKS
    weights: dict[str, Tensor]
    recipe: dict[str, int | float]
    labels: tuple[str, ...]
    temperature: float
    data_set: DataFacts
    evaluation: Evaluation
    git_commit: str | None
    libraries: dict[str, str]

    def build(self) -> nn.Module:
        """The network with its weights, ready to answer; BadRun if they are of another one."""
        if self.network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise BadRun(f"the checkpoint is of a network {self.network!r}; known are: {known}")
        try:
            dropout = self.recipe["dropout"]
            network = NETWORKS[self.network](classes=len(self.labels), dropout=dropout)
            network.load_state_dict(self.weights)
        except (RuntimeError, KeyError) as error:
            raise BadRun(f"the checkpoint's weights are not {self.network}'s: {error}") from error
        return network.eval()


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

    def discard(self) -> None:
        """Take back a run that did not end."""
        shutil.rmtree(self.folder)

    def log(self, epoch: Epoch) -> None:
        with (self.folder / EPOCHS).open("a") as lines:
            lines.write(json.dumps(epoch._asdict()) + "\n")

    def finish(
        self,
        checkpoint: Checkpoint,
        test_set: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        **measured: float | str,
    ) -> None:
        """Write everything, the checkpoint last, and make this the latest run."""
        pixels, labels = test_set
        np.savez_compressed(self.folder / TEST_SET, pixels=pixels, labels=labels)
        facts = checkpoint.model_dump(mode="json", exclude={"weights"})
        history = [json.loads(line) for line in (self.folder / EPOCHS).read_text().splitlines()]
        text = json.dumps(facts | measured | {"history": history}, indent=2) + "\n"
        (self.folder / METRICS).write_text(text)
        _replace(self.folder / CHECKPOINT, lambda path: torch.save(checkpoint.model_dump(), path))
        _replace(self.folder.parent / "latest", lambda path: path.write_text(self.id + "\n"))

    def checkpoint(self) -> Checkpoint:
        path = self.folder / CHECKPOINT
        try:
            facts = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise BadRun(f"{path} is not there: the run did not end, train again") from error
        except Exception as error:  # a damaged pickle raises nearly anything
            raise BadRun(f"{path} is damaged: train again ({_first_line(error)})") from error
        try:
            return Checkpoint.model_validate(facts)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, wrong["loc"])) for wrong in error.errors())
            raise BadRun(f"{path} is not a checkpoint of this project: see {fields}") from error

    def test_set(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels (n, 28, 28) and labels (n,)."""
        path = self.folder / TEST_SET
        try:
            with np.load(path) as arrays:
                pixels, labels = arrays["pixels"], arrays["labels"]
        except Exception as error:  # a damaged zip raises nearly anything
            raise BadRun(f"{path} is missing or damaged: train again ({error!r})") from error
        if len(labels) == 0 or pixels.shape != (len(labels), 28, 28) or pixels.dtype != np.uint8:
            raise BadRun(f"{path} holds {pixels.dtype} {pixels.shape}, not uint8 (n, 28, 28)")
        return pixels, labels


def _replace(path: Path, write: Any) -> None:
    """Write aside, then rename: nobody sees half a file."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    write(aside)
    aside.replace(path)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

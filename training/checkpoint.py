"""Files of a run: checkpoint.pt, and images in .npz files.

Each is written under another name and renamed, so that a full disk or a power cut leaves no half
file. Export reads them long after they were written, so a damaged file is detected and named.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from contract.card import SIDE, DataFacts, Evaluation
from contract.files import sync
from training.model import NETWORKS, Network, build

Pictures = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (n, 28, 28), labels (n,)


class BadRun(Exception):
    """A run folder is missing, unfinished or damaged; the message names the file and what to do."""


class Checkpoint(BaseModel):
    """A trained network and everything needed to build, judge and describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    weights: dict[str, Tensor]
    recipe: dict[str, bool | int | float | str]
    labels: tuple[str, ...]
    temperature: float
    data_set: DataFacts
    evaluation: Evaluation
    git_commit: str | None
    libraries: dict[str, str]

    @property
    def network(self) -> str:
        """A key of NETWORKS."""
        return str(self.recipe.get("network", ""))

    def build(self) -> Network:
        """The network with its weights, ready to answer; BadRun if they are of another one."""
        if self.network not in NETWORKS:
            known = ", ".join(NETWORKS)
            raise BadRun(f"the checkpoint is of a network {self.network!r}; known are: {known}")
        try:
            network = build(
                self.network,
                classes=len(self.labels),
                dropout1=float(self.recipe["dropout1"]),
                dropout2=float(self.recipe["dropout2"]),
                width=float(self.recipe["width"]),
            )
            network.load_state_dict(self.weights)
        except (RuntimeError, KeyError) as error:
            raise BadRun(f"the checkpoint's weights are not {self.network}'s: {error}") from error
        network.eval()
        return network

    @classmethod
    def load(cls, path: Path) -> Self:
        """From checkpoint.pt; BadRun if it is damaged or something else."""
        try:
            return cls.model_validate(load(path))
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, wrong["loc"])) for wrong in error.errors())
            raise BadRun(f"{path} is not a checkpoint of this project: see {fields}") from error

    def save(self, path: Path) -> None:
        replace(path, lambda draft: torch.save(self.model_dump(), draft))


def load(path: Path) -> Any:
    """Tensors, numbers and texts from a file of torch.save; BadRun if it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadRun(f"{path} is not there") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise BadRun(f"{path} is damaged or no file of PyTorch ({_first_line(error)})") from error


def replace_text(path: Path, text: str) -> None:
    replace(path, lambda draft: draft.write_text(text))


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write under another name, then rename."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(draft)
        sync(draft)
        draft.replace(path)
        sync(path.parent)
    except RuntimeError as error:  # torch.save's word for a full disk
        raise OSError(f"{path} cannot be written: {_first_line(error)}") from error
    finally:
        draft.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def save_arrays(path: Path, **arrays: NDArray[np.uint8]) -> None:
    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    replace(path, write)


def kept_pictures(path: Path) -> Pictures:
    """With their labels; BadRun if the file is damaged."""
    arrays = _arrays(path, "pixels", "labels")
    pixels, labels = arrays["pixels"], arrays["labels"]
    if len(labels) != len(pixels):
        raise BadRun(f"{path} holds {len(pixels)} pictures and {len(labels)} labels")
    return pixels, labels


def kept_pixels(path: Path) -> NDArray[np.uint8]:
    """Without; (n, 28, 28)."""
    return _arrays(path, "pixels")["pixels"]


def _arrays(path: Path, *names: str) -> dict[str, NDArray[np.uint8]]:
    """The named arrays of a file, the first of which are pictures."""
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in names}
    except Exception as error:  # a damaged zip raises nearly anything
        raise BadRun(f"{path} is missing or damaged: train again ({error!r})") from error
    pixels = arrays["pixels"]
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE) or len(pixels) == 0:
        raise BadRun(f"{path} holds {pixels.dtype} {pixels.shape}, not uint8 (n, 28, 28)")
    return arrays

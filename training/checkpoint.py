"""checkpoint.pt: a trained network with everything needed to build, judge and describe it."""

from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from contract.card import DataFacts, Evaluation
from training.files import first_line, replace
from training.model import NETWORKS, Network, build


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
        replace(path, lambda aside: torch.save(self.model_dump(), aside))


def load(path: Path) -> Any:
    """Tensors, numbers and texts from a file of torch.save; BadRun if it is missing or damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadRun(f"{path} is not there") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise BadRun(f"{path} is damaged or no file of PyTorch ({first_line(error)})") from error

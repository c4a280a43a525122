"""Files of a run: checkpoint.pt, images in .npz files, and digests of images.

Each file is replaced as a whole, so that a full disk or a power cut leaves no partial file. Export
reads the files long after they were written, so a damaged file is detected and named.
"""

import warnings
from collections.abc import Mapping
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Self
from zipfile import is_zipfile

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from contract.card import SIDE, DataFacts, DigitPreparation, Evaluation, Preparation
from contract.files import replace_together
from preprocessing.preparation import Preparer, preparer_of
from training.model import Network, build
from training.networks.own import BadNetwork, permitted

# Pixels (n, h, w) or (n, h, w, 3) uint8, labels (n,) uint8, or uint16 of more than 256 classes.
Images = tuple[NDArray[np.uint8], NDArray[np.unsignedinteger[Any]]]


class HeldOut(NamedTuple):
    """Corrections that are not trained on: n images."""

    pixels: NDArray[np.uint8]  # (n, h, w) or (n, h, w, 3)
    labels: NDArray[np.unsignedinteger[Any]]  # (n,)
    reviewed: NDArray[np.bool_]  # (n,), whether the operator or an admin vouches for the label


DIGEST = 16  # bytes of an image's digest
SAVED_TRAINING = {"facts", "state"}  # what a file of `save_checkpoint` holds
MOST_NAMED = 8  # fields in an error
STATISTICS = ("mean", "deviation")  # of the training images, which a network may hold


class BadRun(Exception):
    """A run folder is missing, unfinished or damaged; the message names the file and what to do."""


class Checkpoint(BaseModel):
    """A trained network and everything needed to build, evaluate and describe it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    weights: dict[str, Tensor]
    recipe: dict[str, bool | int | float | str]
    labels: tuple[str, ...]
    temperature: float
    data_set: DataFacts
    evaluation: Evaluation
    preparation: Preparation = DigitPreparation()  # checkpoints of digits may lack it
    shape: tuple[int, ...] = (SIDE, SIDE)  # of one image: (h, w) or (h, w, 3)
    git_commit: str | None
    libraries: dict[str, str]

    @property
    def network(self) -> str:
        """The name of the network: a key of NETWORKS, or module:callable."""
        return str(self.recipe.get("network", ""))

    @property
    def architecture(self) -> dict[str, bool | int | float | str]:
        """The options of the recipe that determine the network's layers."""
        options = ("network", "width", "hidden_size", "mirror", "dropout1", "dropout2")
        return {name: self.recipe[name] for name in options if name in self.recipe}

    @property
    def prepare(self) -> Preparer:
        """Makes the network's pixels of any image."""
        return preparer_of(self.preparation, self.shape)

    def build(self) -> Network:
        """The network with its weights, in evaluation mode; BadRun if they do not fit it."""
        try:
            network = build(
                self.network,
                classes=len(self.labels),
                shape=self.shape,
                dropout1=float(self.recipe["dropout1"]),
                dropout2=float(self.recipe["dropout2"]),
                width=float(self.recipe["width"]),
                hidden_size=int(self.recipe.get("hidden_size", 0)),  # none in older recipes
                mirror=bool(self.recipe.get("mirror", False)),
                none_class=bool(self.recipe.get("non_digits", 0)),
            )
            network.load_state_dict(self.weights)
        except BadNetwork as error:
            raise BadRun(f"the checkpoint's network cannot be built: {error}") from error
        except (RuntimeError, KeyError) as error:
            raise BadRun(f"the checkpoint's weights are not {self.network}'s: {error}") from error
        network.eval()
        return network

    @classmethod
    def load(cls, path: Path, network: str | None = None) -> Self:
        """Read a file from anywhere, such as one of `save_model`.

        BadRun if it is damaged or something else, or if it names a network module:callable that is
        not `network`, which this user gave.
        """
        return cls.read(path).permitted(path, network)

    def permitted(self, source: Path, network: str | None) -> Self:
        """The checkpoint that the file `source` holds, as `load` returns it."""
        try:
            name = permitted(source, self.network, network)
        except BadNetwork as error:
            raise BadRun(str(error)) from error
        return self.model_copy(update={"recipe": {**self.recipe, "network": name}})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the checkpoint.pt of a run folder, of which `build` may run any code; as `load`."""
        content = load(path)
        if isinstance(content, dict) and set(content) == SAVED_TRAINING:
            raise BadRun(
                f"{path} is a saved training: load_checkpoint reads it, and train() ends it"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            fields = [".".join(map(str, wrong["loc"])) for wrong in error.errors()]
            named = ", ".join(fields[:MOST_NAMED]) + ", ..." * (len(fields) > MOST_NAMED)
            raise BadRun(
                f"{path} is not a checkpoint of this project: missing or wrong are "
                f"{named or 'all of its fields'}"
            ) from error

    def save(self, path: Path) -> None:
        save(path, self.model_dump())


def save(path: Path, value: object) -> None:
    """Write a file of torch.save, which `load` reads: tensors, numbers and texts."""
    content = BytesIO()
    torch.save(value, content)
    replace_together({path: content.getvalue()})


def load(path: Path) -> Any:
    """Tensors, numbers and texts from a file of torch.save; BadRun if it is missing or damaged."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about pickles of other versions
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadRun(f"{path} does not exist") from error
    except OSError as error:
        raise BadRun(f"{path} cannot be read: {error.strerror or error}") from error
    # A damaged pickle raises nearly any exception. PyTorch's own text is not repeated: it advises
    # to load the file without weights_only, which would run whatever code it holds.
    except Exception as error:
        if is_zipfile(path):
            raise BadRun(
                f"{path} is not loaded: it is damaged, or holds Python objects; save the "
                "state_dict alone: torch.save(model.state_dict(), path)"
            ) from error
        raise BadRun(f"{path} is damaged, or no file that torch.save wrote") from error


def load_pretrained(network: nn.Module, path: Path, name: str) -> None:
    """Load pretrained weights from `path` into `network`, which is called `name`.

    The file is a checkpoint of this project or a plain state dict, such as torchvision's. For gray
    images the weights of a first layer for three colours are summed, which is equivalent. A last
    layer for other classes keeps its new weights. BadRun if anything else differs.
    """
    content = load(path)
    weights = content.get("weights", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise BadRun(f"{path} holds no weights: it is neither a checkpoint nor a state dict")
    load_weights(network, weights, name, str(path))


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], name: str, source: str) -> None:
    """Load `weights` into `network`, which is called `name`, as `load_pretrained` does."""
    own = network.state_dict()
    weights = {_own_name(key, own): value for key, value in weights.items()}
    parameters = [key for key in own if key not in STATISTICS]
    first, last = parameters[0], parameters[-1].rpartition(".")[0]  # a weight; a layer
    gray = own[first].dim() == 4 and own[first].shape[1] == 1
    if gray and first in weights and weights[first].shape[1:2] == (3,):
        weights[first] = weights[first].sum(1, keepdim=True)
    for key in (f"{last}.weight", f"{last}.bias"):
        if key in own and key in weights and weights[key].shape != own[key].shape:
            weights[key] = own[key]
    for key in STATISTICS:  # of these training images; PyTorch's files have none
        weights.pop(key, None)
        if key in own:
            weights[key] = own[key]
    different = [
        key for key in own if key not in weights or weights[key].shape != own[key].shape
    ] + [key for key in weights if key not in own]
    if different:
        raise BadRun(f"{source} is of another network than {name}: see {', '.join(different[:3])}")
    network.load_state_dict(weights)


def _own_name(key: str, own: dict[str, Tensor]) -> str:
    """This project's name for a tensor that torchvision calls `key`."""
    for name in (key, f"layers.{key}", f"layers.{key.replace('fc.', 'fc.1.')}"):
        if name in own:
            return name
    return key


def save_images(path: Path, **arrays: NDArray[np.unsignedinteger[Any]]) -> None:
    content = BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    replace_together({path: content.getvalue()})


def load_images(path: Path) -> Images:
    """Pixels and labels; BadRun if the file is damaged."""
    pixels, labels = _arrays(path, "pixels", "labels")
    if len(labels) != len(pixels):
        raise BadRun(f"{path} holds {len(pixels)} images and {len(labels)} labels")
    return pixels, labels


def load_held_out(path: Path) -> HeldOut:
    """Corrections; BadRun if the file is damaged."""
    pixels, labels, reviewed = _arrays(path, "pixels", "labels", "reviewed")
    if not len(pixels) == len(labels) == len(reviewed):
        raise BadRun(f"{path} holds {len(pixels)} images and {len(labels)} labels")
    return HeldOut(pixels, labels, reviewed.astype(bool))


def load_pixels(path: Path) -> NDArray[np.uint8]:
    """Pixels (n, h, w) or (n, h, w, 3) without labels; BadRun if the file is damaged."""
    return _arrays(path, "pixels")[0]


def load_non_digits(path: Path) -> list[NDArray[np.uint8]]:
    """Those for validation and for testing; BadRun if the file is damaged."""
    return _arrays(path, "validation", "test")


def digests(pixels: NDArray[np.uint8]) -> list[bytes]:
    """A digest of each image of (n, h, w) or (n, h, w, 3): the same pixels have the same."""
    return [blake2b(image.tobytes(), digest_size=DIGEST).digest() for image in pixels]


def load_digests(path: Path) -> frozenset[bytes]:
    """Those of a file that holds one after the other; BadRun if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadRun(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) % DIGEST:
        raise BadRun(f"{path} is damaged: train again")
    return frozenset(content[at : at + DIGEST] for at in range(0, len(content), DIGEST))


def _arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """The named arrays of a file, of which the first holds pixels."""
    try:
        with np.load(path) as file:
            arrays = [file[name] for name in names]
    except Exception as error:  # a damaged zip raises nearly any exception
        raise BadRun(f"{path} is missing or damaged: train again ({error!r})") from error
    pixels = arrays[0]
    is_image = pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)
    if pixels.dtype != np.uint8 or not is_image or pixels.size == 0:
        raise BadRun(
            f"{path} holds {pixels.dtype} {pixels.shape}, not uint8 (n, h, w) or (n, h, w, 3)"
        )
    return arrays

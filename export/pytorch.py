"""A PyTorch model that was trained elsewhere: a callable that builds it, and a file of weights.

    my_module:build --> nn.Module --weights--> --torch.onnx--> an ONNX file, imported as any other

A callable receives the same arguments as for training: see `training.networks.own`. The name of a
network of this project stands for the network. The weights are a plain state dict; nothing else in
the file is executed.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.artifacts import OPSET
from export.original import BadModel, Numbers, check_fits, check_memory
from export.runners import Rows, quiet
from training.checkpoint import BadRun, load
from training.model import NETWORKS, build
from training.networks.own import BadNetwork, arguments, imported, is_own, short

NESTED = ("state_dict", "model_state_dict", "model", "weights")  # where files keep the weights
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile


class Planes(nn.Module):
    """The network, with one tensor of logits as its result."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, planes: Tensor) -> Tensor:  # (n, c, h, w) -> (n, classes)
        result = self.network(planes)
        logits: Tensor = getattr(result, "logits", result)  # as models of transformers return it
        return logits

    @torch.inference_mode()
    def rows(self, images: Numbers) -> Rows:
        """What it returns for single images."""
        each = [self(torch.from_numpy(image[None])).numpy() for image in images]
        return np.concatenate(each).reshape(len(images), -1)


def read_network(name: str, weights: Path, *, classes: int, shape: tuple[int, ...]) -> Planes:
    """The network that `name`, module:callable, builds, with the weights of the file.

    `shape` is that of an image: (h, w) or (h, w, 3).
    """
    if weights.is_file():
        check_memory(weights, weights.stat().st_size)
    builder = _callable(name)
    try:
        network = builder(**arguments(builder, classes=classes, shape=shape))
    except Exception as error:  # it is a user's code
        raise BadModel(f"{name} cannot be built: {short(error)}") from error
    if not isinstance(network, nn.Module):
        raise BadModel(f"{name} returns {type(network).__name__}, not a torch.nn.Module")
    try:
        values = _weights(weights)
    except BadRun as error:
        raise BadModel(str(error)) from error
    _check_classes(weights, network, values, classes)
    try:
        network.load_state_dict(values)
    except RuntimeError as error:
        reason = "; ".join(line.strip().rstrip(".") for line in str(error).splitlines()[1:4])
        raise BadModel(f"{weights} does not hold the weights of {name}: {reason}") from error
    return Planes(network)


def _check_classes(
    weights: Path, network: nn.Module, values: Mapping[str, Tensor], classes: int
) -> None:
    """BadModel if the weights differ from the network's only in their number of classes."""
    own = network.state_dict()
    different = [key for key in own if key in values and values[key].shape != own[key].shape]
    found = {len(values[key]) for key in different if values[key].dim() and own[key].dim()}
    if len(found) == 1 and all(
        own[key].shape[:1] == (classes,) and own[key].shape[1:] == values[key].shape[1:]
        for key in different
    ):
        raise BadModel(
            f"there are {classes} labels, and {weights} has {found.pop()} classes: write one label "
            "per line, in the order of the classes"
        )


def write_onnx(network: Planes, path: Path, shape: tuple[int, ...]) -> None:
    """The network as an ONNX file for (n, c, h, w) float32."""
    channels, (height, width) = 3 if len(shape) == 3 else 1, shape[:2]
    example = torch.zeros(2, channels, height, width)
    _check_result(network, example)
    try:
        with quiet():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["classes"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
            assert program is not None
            program.save(str(path), external_data=False)
    except OSError:
        raise
    except Exception as error:  # the exporter's errors have no class in common
        lines = [line.rstrip(" .") for line in str(error).splitlines() if line.strip()]
        raise BadModel(
            f"PyTorch cannot export the network as ONNX: {lines[0] if lines else repr(error)}. "
            "Export it yourself, and import the file"
        ) from error


def _check_result(network: Planes, example: Tensor) -> None:
    try:
        with torch.inference_mode():
            result = network(example)
    except Exception as error:  # it is a user's code
        raise BadModel(
            f"the network does not take images {tuple(example.shape)}: {str(error).rstrip(' .')}; "
            "see --size and --gray"
        ) from error
    if not isinstance(result, Tensor):
        raise BadModel(f"the network returns {type(result).__name__}, not a tensor (n, classes)")


def _callable(name: str) -> Callable[..., Any]:
    if name in NETWORKS:
        return partial(_own_kind, name)
    if not is_own(name):
        raise BadModel(f"{name!r} must name a module and a callable in it, such as my_module:build")
    try:
        return imported(name)
    except BadNetwork as error:
        raise BadModel(str(error)) from error


def _own_kind(name: str, *, classes: int, channels: int, height: int, width: int) -> nn.Module:
    """A network of this project."""
    shape = (height, width, 3) if channels == 3 else (height, width)
    return build(name, classes=classes, shape=shape)


def _weights(path: Path) -> dict[str, Tensor]:
    content = load(path)
    for name in NESTED:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(
        isinstance(each, Tensor) for each in content.values()
    ):
        raise BadModel(
            f"{path} holds no state dict: torch.save(model.state_dict(), path) writes one"
        )
    weights: dict[str, Tensor] = content
    for prefix in PREFIXES:
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    check_fits(path, sum(value.nbytes for value in weights.values()))
    return weights

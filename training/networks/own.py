"""A user's own network: `my_module:build`, or a callable or module that Python code hands over.

    build(*, classes, channels, height, width) -> nn.Module: (n, c, h, w) float32 -> (n, classes)

A callable receives those of `arguments` that it names. Its input is normalised:
`training.model.Network` does that.

Importing `my_module` runs its code. A name that a file holds is therefore used only if this user
has given it too: see `permitted`.
"""

import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.vision import torchvision

Build = Callable[..., nn.Module]

_REGISTERED: dict[str, Build] = {}  # networks that Python code handed over, by name
NUMBER = "#"  # before the number that distinguishes networks which no other process can import


class BadNetwork(ValueError):
    """A network cannot be built for the images; the message names it and what to do."""


def is_own(name: str) -> bool:
    """Whether `name` is that of a user's own network: module:callable."""
    module, _, attribute = name.partition(":")
    return bool(module and attribute)


def registered(network: Build | nn.Module) -> str:
    """The name under which `own` builds a network that was handed over, within this process.

    A function or class of a module has the name by which other processes import it. Modules,
    lambdas and what else has no such name get a number, and are known to this process only.
    """
    made_of: Any = type(network) if isinstance(network, nn.Module) else network
    qualified = getattr(made_of, "__qualname__", type(made_of).__name__)
    name = f"{made_of.__module__}:{qualified}"
    if _attribute(made_of.__module__, qualified) is not network or (
        _REGISTERED.get(name, network) is not network  # a notebook has defined it again
    ):
        name += f"{NUMBER}{len(_REGISTERED) + 1}"
    if isinstance(network, nn.Module):
        start = copy.deepcopy(network)
        _REGISTERED[name] = lambda: copy.deepcopy(start)
    else:
        _REGISTERED[name] = network
    return name


def _attribute(module: str, qualified: str) -> Any:
    """What an imported module has under that name, or None."""
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found


def permitted(source: Path, name: str, given: str | None) -> str:
    """The network to build where the file `source` names `name` and this user gave `given`.

    It is one of this project's networks, one that Python code handed over, or `given`. BadNetwork
    if it is any other, since building it would import and run whatever the file names.
    """
    if not is_own(name) or name == given:
        return name
    if given is not None and given in _REGISTERED:
        return given
    if name in _REGISTERED:
        return name
    if NUMBER in name:
        raise BadNetwork(f"{source} was trained with the network {name}, {_ELSEWHERE}")
    raise BadNetwork(
        f"{source} was trained with the network {name}: allow this code with --network {name}, "
        f'in Python with network="{name}"'
    )


def own(name: str, *, classes: int, shape: tuple[int, ...]) -> nn.Module:
    """The network that the callable `name` returns; BadNetwork if it does not fit the images."""
    build = _REGISTERED.get(name) or imported(name)
    height, width = shape[:2]
    channels = 3 if len(shape) == 3 else 1
    try:
        network = build(**arguments(build, classes=classes, shape=shape))
    except Exception as error:  # whatever the user's code raises
        raise BadNetwork(f"{name} fails: {short(error)}") from error
    if not isinstance(network, nn.Module):
        raise BadNetwork(f"{name} returns {type(network).__name__}, it must return an nn.Module")
    _check_output(name, network, (1, channels, height, width), classes)
    return network


def arguments(build: Build, *, classes: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """The arguments with which `build` makes a network for images of `shape`, (h, w) or (h, w, 3).

    Those that it names: classes or num_classes, channels or in_channels, height, width, and size,
    which is the side of square images and (height, width) of others. One that takes any others,
    and names no number of classes, receives num_classes, as those of torchvision do. TypeError if
    it requires others.
    """
    (height, width), channels = shape[:2], 3 if len(shape) == 3 else 1
    known = {
        "classes": classes, "num_classes": classes, "channels": channels, "in_channels": channels,
        "height": height, "width": width, "size": height if height == width else (height, width),
    }  # fmt: skip
    parameters = inspect.signature(build).parameters
    if unknown := [name for name in _required(parameters.values()) if name not in known]:
        raise TypeError(
            f"it requires {', '.join(unknown)}; there are the arguments {', '.join(known)}"
        )
    accepted = {name: value for name, value in known.items() if name in parameters}
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if takes_any and not accepted.keys() & {"classes", "num_classes"}:
        accepted["num_classes"] = classes
    return accepted


def _required(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """The names of those without a default."""
    rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each.name for each in parameters if each.default is each.empty and each.kind not in rest
    ]


_ELSEWHERE = (
    "which Python code handed over in another process: only a function or class of a module can be "
    "built again, as in my_module:build; or hand over the same network with network="
)


def imported(name: str) -> Build:
    """The callable that `name` names, of a module that Python finds here or in its own path.

    BadNetwork if there is none.
    """
    module_name, _, attribute = name.partition(":")
    if NUMBER in name:
        raise BadNetwork(f"the network {name} is one {_ELSEWHERE}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with suppress(ImportError):
        torchvision()  # also where the module imports it itself
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever the module raises while it is imported
        raise BadNetwork(
            f"the network {name} cannot be imported: {short(error)}; name a module in {here} or "
            "in PYTHONPATH, and a callable in it, as in my_module:build"
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise BadNetwork(
            f"the module {module_name} has no callable {attribute}: name a function or class of it "
            "that returns a torch.nn.Module"
        )
    return found  # type: ignore[no-any-return]


def _check_output(name: str, network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    was_training = network.training
    try:
        with torch.no_grad():
            output = network.eval()(torch.zeros(shape))
    except Exception as error:  # whatever the user's layers raise
        raise BadNetwork(f"{name} fails on an input of shape {shape}: {short(error)}") from error
    finally:
        network.train(was_training)
    found = getattr(output, "shape", None)
    if found is None or tuple(found) != (1, classes):
        raise BadNetwork(
            f"{name} answers {tuple(found) if found is not None else type(output).__name__} for "
            f"an input of shape {shape}, it must answer logits of shape {(1, classes)}"
        )


def short(error: Exception) -> str:
    """The error as one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip(' .') if lines else ''}"

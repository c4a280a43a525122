"""Pretrained weights as a beginning; their last layer may be for other classes."""

from pathlib import Path

from torch import Tensor, nn

from training.run import BadRun, load


def load_pretrained(network: nn.Module, path: Path, name: str) -> None:
    """Put the weights in `path` into `network`, a `name`.

    The file is a checkpoint of this project or a plain state dict, such as torchvision's own for
    resnet18. A first layer for three colours is summed to one, which answers a gray picture in the
    same way; a last layer for other classes is left as it is. BadRun if anything else differs.
    """
    content = load(path)
    weights = content.get("weights", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise BadRun(f"{path} holds no weights: neither a checkpoint nor a state dict")
    own = network.state_dict()
    weights = {_own_name(key, own): value for key, value in weights.items()}
    first, *_, last_weight, last_bias = own  # names of the first and the last layer's parameters
    if first in weights and weights[first].dim() == 4 and weights[first].shape[1] == 3:
        weights[first] = weights[first].sum(1, keepdim=True)
    for key in (last_weight, last_bias):
        if key in weights and weights[key].shape != own[key].shape:
            weights[key] = own[key]
    different = [
        key for key in own if key not in weights or weights[key].shape != own[key].shape
    ] + [key for key in weights if key not in own]
    if different:
        raise BadRun(f"{path} is of another network than {name}: see {', '.join(different[:3])}")
    network.load_state_dict(weights)


def _own_name(key: str, own: dict[str, Tensor]) -> str:
    """torchvision's name of a tensor as this project's."""
    for name in (key, f"layers.{key}", f"layers.{key.replace('fc.', 'fc.1.')}"):
        if name in own:
            return name
    return key

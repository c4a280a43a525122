"""The networks by name, in NETWORKS, and what surrounds each of them.

    images (n, c, h, w) float32, 0..1 --normalise, layers--> logits (n, classes) float32

`build` creates one. Their layers are in `training.networks`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from contract.card import SIDE
from training.networks import digits
from training.networks.own import BadNetwork, is_own, own
from training.networks.residual import Whitening, residual
from training.networks.torchvision import efficientnet_b0, mobilenet_v3_small, resnet18

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's 60,000 training images, 0..1

GRAY_28 = (SIDE, SIDE)  # the shape of a digit


class Network(nn.Module):
    """Layers that receive normalised images.

    Gray 28x28 images of any classes are scaled by constants, which are MNIST's mean and standard
    deviation. Those of others are measured, by `normalise_by`, and stored with the weights.
    """

    mean: Tensor  # (c, 1, 1)
    deviation: Tensor  # (c, 1, 1)

    def __init__(
        self,
        layers: nn.Module,
        shape: tuple[int, ...] = GRAY_28,
        *,
        mirror: bool = False,
        none_class: bool = False,
    ) -> None:
        """With `mirror`, evaluation averages the logits of an image and of its mirror image.

        With `none_class`, the last output of the layers belongs to images of no class, whose
        probability all classes share equally.
        """
        super().__init__()
        self.layers, self._mirror, self._none_class = layers, mirror, none_class
        channels, stored = 3 if len(shape) == 3 else 1, shape != GRAY_28
        for name, value in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.full((channels, 1, 1), value), persistent=stored)
        self._measures = stored

    def normalise_by(self, images: Tensor) -> None:
        """Take mean and deviation of training images, (n, c, h, w) float32, 0..1, in random order.

        A first layer that whitens is fitted to them too.
        """
        if self._measures:
            deviation, mean = torch.std_mean(images, (0, 2, 3))
            self.mean.copy_(mean.reshape(-1, 1, 1))
            self.deviation.copy_(deviation.clamp_min(1 / 255).reshape(-1, 1, 1))
        for layer in self.layers.modules():
            if isinstance(layer, Whitening):
                layer.fit((images - self.mean) / self.deviation)

    def forward(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.deviation
        logits: Tensor = self.layers(images)
        if self._mirror and not self.training:
            logits = (logits + self.layers(images.flip(3))) / 2
        return _shared(logits) if self._none_class else logits


def _shared(logits: Tensor) -> Tensor:
    """Logits (n, k) of k classes, from (n, k + 1): each class gets a share of the last one.

    So an image of no class gets equal probabilities, and which class is the most probable does not
    depend on how much an image looks like none of them.
    """
    share = logits[:, -1:] - math.log(logits.shape[1] - 1)
    return share + F.softplus(logits[:, :-1] - share)  # logaddexp, which ONNX lacks


@dataclass(frozen=True)
class Kind:
    """A kind of network, which --network names, with its defaults."""

    layers: Callable[..., nn.Module]
    dropout1: float
    dropout2: float
    learning_rate: float  # peak value for Adam; SGD and Muon use ten times that
    optimiser: str = "adam"
    digits_only: bool = False  # whether its layers are those for gray images of 28x28
    widens: bool = False  # whether --width has an effect
    hidden_size: int = 0  # of the hidden fully connected layer; 0: it has none
    half: bool = False  # whether it trains in half precision where that is fast
    threads: int = 64  # CPU threads; more of them would slow the training down

    def suggested(self, optimiser: str) -> dict[str, float]:
        """Values for options that depend on the network, with that optimiser."""
        rate = self.learning_rate * (10 if optimiser in ("sgd", "muon") else 1)
        return {
            "dropout1": self.dropout1,
            "dropout2": self.dropout2,
            "learning_rate": rate,
            "hidden_size": self.hidden_size,
        }


NETWORKS = {
    "compact": Kind(
        digits.compact, 0.0, 0.1, 0.01, "muon", digits_only=True, widens=True, threads=1
    ),
    "deep": Kind(digits.deep, 0.0, 0.1, 0.01, "muon", digits_only=True, widens=True),
    "classic": Kind(digits.classic, 0.25, 0.5, 0.002, digits_only=True, hidden_size=128),
    "pooled": Kind(digits.pooled, 0.25, 0.5, 0.002, digits_only=True, hidden_size=128),
    "batchnorm": Kind(digits.batchnorm, 0.25, 0.5, 0.005, digits_only=True, hidden_size=128),
    "mlp": Kind(digits.mlp, 0.2, 0.2, 0.002, digits_only=True, hidden_size=512),
    "residual": Kind(residual, 0.0, 0.0, 0.02, widens=True, half=True),
    "resnet18": Kind(resnet18, 0.0, 0.0, 0.002),
    "mobilenet_v3_small": Kind(mobilenet_v3_small, 0.0, 0.2, 0.002),
    "efficientnet_b0": Kind(efficientnet_b0, 0.0, 0.2, 0.002),
}
OWN = Kind(own, 0.0, 0.0, 0.002)  # of any network named module:callable


def kind_of(network: str) -> Kind:
    """The kind of that name; BadNetwork if there is none."""
    if network in NETWORKS:
        return NETWORKS[network]
    if is_own(network):
        return OWN
    raise BadNetwork(
        f"network is {network!r}, it must be one of: {', '.join(NETWORKS)}; or my_module:build "
        "for one of your own"
    )


def build(
    network: str,
    *,
    classes: int,
    shape: tuple[int, ...] = GRAY_28,
    dropout1: float = 0.0,
    dropout2: float = 0.0,
    width: float = 1.0,
    hidden_size: int = 0,
    mirror: bool = False,
    none_class: bool = False,
) -> Network:
    """The network of that name for images of `shape`, (h, w) or (h, w, 3), with initial weights.

    `hidden_size` 0 stands for the network's own; `none_class`: see `Network`; a network of one's
    own has none. Raises BadNetwork if there is no such network, or if it is for images of another
    shape.
    """
    kind = kind_of(network)
    if kind is OWN:
        return Network(own(network, classes=classes, shape=shape), shape, mirror=mirror)
    if kind.digits_only and shape != GRAY_28:
        others = ", ".join(name for name, each in NETWORKS.items() if not each.digits_only)
        raise BadNetwork(
            f"{network} is for gray images of 28x28, these are {in_words(shape)}: choose one of "
            f"{others}; or my_module:build"
        )
    options = {
        **({} if kind.digits_only else {"shape": shape}),
        **({"width": width} if kind.widens else {}),
        **({"hidden_size": hidden_size or kind.hidden_size} if kind.hidden_size else {}),
    }
    outputs = classes + none_class
    layers = kind.layers(classes=outputs, dropout1=dropout1, dropout2=dropout2, **options)
    return Network(layers, shape, mirror=mirror, none_class=none_class)


def in_words(shape: tuple[int, ...]) -> str:
    """A shape for people: "64x64 in colour"; height first."""
    return f"{shape[0]}x{shape[1]} " + ("in colour" if len(shape) == 3 else "in gray")


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

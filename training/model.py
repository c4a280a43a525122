"""The networks, as layers with the shape after every step; NETWORKS lists them by name.

    ink (n, 1, 28, 28) float32, 0..1 --normalise, layers--> logits (n, classes) float32

`build` creates one. All but `resnet18` are a plain sequence of layers, written in the order in
which an image passes through them. Numbers of channels are those of width 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's 60,000 training images, ink 0..1


class Network(nn.Module):
    """Layers that receive normalised ink."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, ink: Tensor) -> Tensor:
        logits: Tensor = self.layers((ink - MEAN) / DEVIATION)
        return logits


def compact(*, classes: int, dropout1: float, dropout2: float, width: float) -> nn.Module:
    """29,434 parameters, 0.86 M multiply-adds: as accurate as networks forty times its size.

    It is fast because its convolutions are unpadded, so that feature maps shrink quickly. Pooling
    precedes BatchNorm, which then normalises a quarter of the values.
    """
    a, b, c = (round(channels * width) for channels in (16, 32, 64))
    return nn.Sequential(
        nn.Conv2d(1, a, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(a), nn.ReLU(),  # 16, 12, 12
        nn.Conv2d(a, b, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(b), nn.ReLU(),  # 32, 5, 5
        nn.Dropout2d(dropout1),
        nn.Conv2d(b, c, 3, bias=False), nn.BatchNorm2d(c), nn.ReLU(),  # 64, 3, 3
        nn.Flatten(), nn.Dropout(dropout2), nn.Linear(9 * c, classes),
    )  # fmt: skip


def deep(*, classes: int, dropout1: float, dropout2: float, width: float) -> nn.Module:
    """75,706 parameters, five convolutions: more accurate than `compact`, at twice the cost."""
    a, b, c = (round(channels * width) for channels in (16, 32, 64))
    return nn.Sequential(
        nn.Conv2d(1, a, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(a), nn.ReLU(),  # 16, 12, 12
        nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(),  # 32, 12, 12
        nn.Conv2d(b, b, 3, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2),  # 32, 5, 5
        nn.Dropout2d(dropout1),
        nn.Conv2d(b, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),  # 64, 5, 5
        nn.Conv2d(c, c, 3, bias=False), nn.BatchNorm2d(c), nn.ReLU(),  # 64, 3, 3
        nn.Flatten(), nn.Dropout(dropout2), nn.Linear(9 * c, classes),
    )  # fmt: skip


def classic(*, classes: int, dropout1: float, dropout2: float) -> nn.Module:
    """1,199,882 parameters: the network of PyTorch's own MNIST example."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(),  # 32, 26, 26
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout1),  # 64, 12, 12
        nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(128, classes),
    )  # fmt: skip


def pooled(*, classes: int, dropout1: float, dropout2: float) -> nn.Module:
    """421,642 parameters: two padded convolutions, each halved by pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 32, 14, 14
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 64, 7, 7
        nn.Dropout(dropout1),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(128, classes),
    )  # fmt: skip


def batchnorm(*, classes: int, dropout1: float, dropout2: float) -> nn.Module:
    """421,738 parameters: `pooled` with BatchNorm, and dropout in each block."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),  # 32, 28, 28
        nn.MaxPool2d(2), nn.Dropout(dropout1),  # 32, 14, 14
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),  # 64, 14, 14
        nn.MaxPool2d(2),  # 64, 7, 7
        nn.Dropout(dropout1),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(128, classes),
    )  # fmt: skip


def mlp(*, classes: int, dropout1: float, dropout2: float) -> nn.Module:
    """535,818 parameters: fully connected, without convolutions."""
    return nn.Sequential(
        nn.Flatten(),  # 784
        nn.Linear(28 * 28, 512), nn.ReLU(), nn.Dropout(dropout1),  # 512
        nn.Linear(512, 256), nn.ReLU(), nn.Dropout(dropout2),  # 256
        nn.Linear(256, classes),
    )  # fmt: skip


def resnet18(*, classes: int, dropout1: float, dropout2: float) -> nn.Module:
    """11,175,370 parameters: torchvision's, with one input channel and `classes` outputs."""
    from training.vision import torchvision

    network = torchvision().models.resnet18(weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)  # 64, 14, 14
    network.avgpool = nn.Sequential(nn.Dropout2d(dropout1), network.avgpool)  # 512, 1, 1
    network.fc = nn.Sequential(nn.Dropout(dropout2), network.fc)
    return network  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Kind:
    """A kind of network, which --network names, with its defaults."""

    layers: Callable[..., nn.Module]
    dropout1: float
    dropout2: float
    learning_rate: float  # peak value for Adam; SGD uses ten times that
    widens: bool = False  # whether --width has an effect
    threads: int = 64  # CPU threads; more of them would slow the training down

    def suggested(self, optimiser: str) -> dict[str, float]:
        rate = self.learning_rate * (10 if optimiser == "sgd" else 1)
        return {"dropout1": self.dropout1, "dropout2": self.dropout2, "learning_rate": rate}


NETWORKS = {
    "compact": Kind(compact, 0.0, 0.1, 0.01, widens=True, threads=1),
    "deep": Kind(deep, 0.0, 0.1, 0.01, widens=True),
    "classic": Kind(classic, 0.25, 0.5, 0.002),
    "pooled": Kind(pooled, 0.25, 0.5, 0.002),
    "batchnorm": Kind(batchnorm, 0.25, 0.5, 0.005),
    "mlp": Kind(mlp, 0.2, 0.2, 0.002),
    "resnet18": Kind(resnet18, 0.0, 0.0, 0.002),
}


def build(
    network: str, *, classes: int, dropout1: float, dropout2: float, width: float = 1
) -> Network:
    """The network of that name in NETWORKS, with initial weights."""
    kind = NETWORKS[network]
    wide = {"width": width} if kind.widens else {}
    return Network(kind.layers(classes=classes, dropout1=dropout1, dropout2=dropout2, **wide))


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

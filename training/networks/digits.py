"""Networks for gray images of 28x28, as layers with the shape after every step.

All are a plain sequence of layers, written in the order in which an image passes through them. The
numbers of parameters and of channels are those for ten classes, width 1 and the usual hidden size.
"""

from torch import nn


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


def classic(*, classes: int, dropout1: float, dropout2: float, hidden_size: int) -> nn.Module:
    """1,199,882 parameters: the network of PyTorch's own MNIST example."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(),  # 32, 26, 26
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout1),  # 64, 12, 12
        nn.Flatten(), nn.Linear(64 * 12 * 12, hidden_size), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(hidden_size, classes),
    )  # fmt: skip


def pooled(*, classes: int, dropout1: float, dropout2: float, hidden_size: int) -> nn.Module:
    """421,642 parameters: two padded convolutions, each halved by pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 32, 14, 14
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # 64, 7, 7
        nn.Dropout(dropout1),
        nn.Flatten(), nn.Linear(64 * 7 * 7, hidden_size), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(hidden_size, classes),
    )  # fmt: skip


def batchnorm(*, classes: int, dropout1: float, dropout2: float, hidden_size: int) -> nn.Module:
    """421,738 parameters: `pooled` with BatchNorm, and dropout in each block."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),  # 32, 28, 28
        nn.MaxPool2d(2), nn.Dropout(dropout1),  # 32, 14, 14
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),  # 64, 14, 14
        nn.MaxPool2d(2),  # 64, 7, 7
        nn.Dropout(dropout1),
        nn.Flatten(), nn.Linear(64 * 7 * 7, hidden_size), nn.ReLU(), nn.Dropout(dropout2),  # 128
        nn.Linear(hidden_size, classes),
    )  # fmt: skip


def mlp(*, classes: int, dropout1: float, dropout2: float, hidden_size: int) -> nn.Module:
    """535,818 parameters: fully connected, without convolutions."""
    half = max(1, hidden_size // 2)
    return nn.Sequential(
        nn.Flatten(),  # 784
        nn.Linear(28 * 28, hidden_size), nn.ReLU(), nn.Dropout(dropout1),  # 512
        nn.Linear(hidden_size, half), nn.ReLU(), nn.Dropout(dropout2),  # 256
        nn.Linear(half, classes),
    )  # fmt: skip

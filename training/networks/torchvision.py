"""torchvision's networks, for gray or colour images of any size from 28 pixels."""

from typing import Any

from torch import nn

from training.vision import torchvision


def resnet18(
    *, classes: int, shape: tuple[int, ...], dropout1: float, dropout2: float
) -> nn.Module:
    """11,175,370 parameters for gray images and ten classes."""
    network = torchvision().models.resnet18(weights=None, num_classes=classes)
    if len(shape) == 2:
        network.conv1 = _for_gray(network.conv1)
    network.avgpool = nn.Sequential(nn.Dropout2d(dropout1), network.avgpool)  # 512, 1, 1
    network.fc = nn.Sequential(nn.Dropout(dropout2), network.fc)
    return network  # type: ignore[no-any-return]


def mobilenet_v3_small(
    *, classes: int, shape: tuple[int, ...], dropout1: float, dropout2: float
) -> nn.Module:
    """1,527,818 parameters for gray images and ten classes: the fastest on a CPU."""
    network = torchvision().models.mobilenet_v3_small(
        weights=None, num_classes=classes, dropout=dropout2
    )
    return _with_first_layer(network, shape, dropout1)


def efficientnet_b0(
    *, classes: int, shape: tuple[int, ...], dropout1: float, dropout2: float
) -> nn.Module:
    """4,019,782 parameters for gray images and ten classes."""
    network = torchvision().models.efficientnet_b0(
        weights=None, num_classes=classes, dropout=dropout2
    )
    return _with_first_layer(network, shape, dropout1)


def _with_first_layer(network: Any, shape: tuple[int, ...], dropout1: float) -> nn.Module:
    first = network.features[0]  # convolution, BatchNorm, activation
    if len(shape) == 2:
        first[0] = _for_gray(first[0])
    network.avgpool = nn.Sequential(nn.Dropout2d(dropout1), network.avgpool)
    return network  # type: ignore[no-any-return]


def _for_gray(first: Any) -> nn.Conv2d:
    """The same first layer with one input channel, and new weights."""
    filters, size = first.out_channels, first.kernel_size
    return nn.Conv2d(1, filters, size, first.stride, first.padding, bias=False)

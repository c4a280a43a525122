"""A small residual network for images of 32 to 96 pixels, trained from nothing.

In the manner of ResNet-9 (Page, "How to train your ResNet") and of airbench (Jordan, arXiv
2404.00498): few layers, wide at low resolution, global maxima instead of a hidden layer. Larger
images are first halved until their shorter side is at most 64 pixels.
"""

from torch import Tensor, nn

STAGES = (48, 96, 192)  # channels at half, a quarter and an eighth of the side, for width 1
LARGEST = 64  # pixels of the shorter side that the stages receive
SOFTENING = 0.125  # of the logits, so that the first steps see nearly uniform probabilities


class Residual(nn.Module):
    """Two convolutions whose output is added to their input. At first it passes its input on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(
            _convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), last,
        )  # fmt: skip
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.activation(features + self.layers(features))
        return output


class Softened(nn.Linear):
    """The last layer."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) * SOFTENING


def residual(
    *, classes: int, shape: tuple[int, ...], dropout1: float, dropout2: float, width: float
) -> nn.Module:
    """1,092,850 parameters for gray images and ten classes: three
    stages, each a convolution that halves the sides, and a residual block.
    """
    channels, side = 3 if len(shape) == 3 else 1, min(shape[:2])
    a, b, c = (8 * max(1, round(stage * width / 8)) for stage in STAGES)
    stem = [_convolution(channels, a // 2)]  # a/2, h, w
    while side > LARGEST:
        stem.append(_halving(a // 2, a // 2))  # a/2, h/2, w/2
        side //= 2
    return nn.Sequential(
        *stem,
        _halving(a // 2, a), Residual(a),  # a, h/2, w/2
        _halving(a, b), Residual(b), nn.Dropout2d(dropout1),  # b, h/4, w/4
        _halving(b, c), Residual(c),  # c, h/8, w/8
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout2),  # c
        Softened(c, classes),
    )  # fmt: skip


def _convolution(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()
    )


def _halving(channels: int, filters: int) -> nn.Sequential:
    """Pooling precedes BatchNorm, which then normalises a quarter of the values."""
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.MaxPool2d(2),
        nn.BatchNorm2d(filters), nn.ReLU(),
    )  # fmt: skip

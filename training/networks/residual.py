"""A small residual network for images of 32 to 96 pixels, trained from nothing.

In the manner of ResNet-9 (Page, "How to train your ResNet") and of airbench (Jordan, arXiv
2404.00498): a first layer that whitens patches of the training images, few layers, wide at low
resolution, global maxima instead of a hidden layer. Larger images are first halved until their
shorter side is at most 64 pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

STAGES = (48, 96, 192)  # channels at half, a quarter and an eighth of the side, for width 1
LARGEST = 64  # pixels of the shorter side that the stages receive
COMPONENTS = 12  # of patches of 3x3 pixels that the first layer keeps, those that vary most
PATCHES = 200_000  # at most, from which these are computed
SOFTENING = 0.125  # of the logits, so that the first steps see nearly uniform probabilities


class Whitening(nn.Sequential):
    """The main components of patches of 3x3 pixels, each with variance 1, and their negatives.

    `fit` computes the weights from training images; they are not trained. On CIFAR-10 they lower
    the loss after a hundred steps from 1.73 to 1.55 (width 0.67, batches of 256, seed 0).
    """

    def __init__(self, channels: int) -> None:
        self.components = min(COMPONENTS, 9 * channels)
        first = nn.Conv2d(channels, 2 * self.components, 3, padding=1, bias=False)
        first.weight.requires_grad_(False)
        super().__init__(first, nn.ReLU())

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """`images` (n, c, h, w) are normalised, in random order."""
        channels, height, width = images.shape[1:]
        some = images[: max(1, PATCHES // (height * width))]
        patches = F.unfold(some, 3).transpose(1, 2).reshape(-1, 9 * channels)  # (patches, 9 * c)
        variances, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = vectors / (variances.clamp_min(0) + 5e-4).sqrt()  # in columns, ascending
        main = scaled.flip(1)[:, : self.components].T.reshape(-1, channels, 3, 3)
        self[0].weight.copy_(torch.cat([main, -main]))  # type: ignore[operator]


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
    """1,090,156 parameters for gray images and ten classes.

    Three stages, each a convolution that halves the sides, and a residual block.
    """
    channels, side = 3 if len(shape) == 3 else 1, min(shape[:2])
    a, b, c = (8 * max(1, round(stage * width / 8)) for stage in STAGES)
    whitening = Whitening(channels)
    filters = 2 * whitening.components
    halvings = []
    while side > LARGEST:
        halvings.append(_halving(filters, filters))
        side //= 2
    return nn.Sequential(
        whitening, *halvings,  # 24, h, w
        _halving(filters, a), Residual(a),  # a, h/2, w/2
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

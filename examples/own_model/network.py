r"""A network of your own, trained, exported and served without a change to the project.

    make train ARGS="--data path/to/flowers --network examples.own_model.network:build \
        --size 32 --preparation stretch --epochs 30"
    make export serve MODEL=flowers

path/to/flowers has a folder of images for each class. The module may be any that Python can import
from the current folder; `build` receives those of its arguments that the project knows: classes,
channels, height, width. Its input is a normalised float batch (n, channels, height, width), its
output the logits (n, classes). All options of the training apply; without --size and --preparation
it chooses them by the images.
"""

from torch import Tensor, nn


class Block(nn.Module):
    """A depthwise separable convolution with a shortcut around it; it keeps the shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:  # (n, c, h, w)
        output: Tensor = images + self.layers(images)
        return output


def build(classes: int, channels: int) -> nn.Module:
    """A small network for images of any size, gray or in colour."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        Block(32),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        Block(64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )

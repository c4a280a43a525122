"""The `compact` network: 29,434 parameters and 0.86 M multiply-adds a picture.

    ink       (n,  1, 28, 28) float32, 0..1
    normalise (n,  1, 28, 28)
    conv 5x5  (n, 16, 24, 24)   pool 2x2  (n, 16, 12, 12)   BatchNorm, ReLU
    conv 3x3  (n, 32, 10, 10)   pool 2x2  (n, 32,  5,  5)   BatchNorm, ReLU
    conv 3x3  (n, 64,  3,  3)                               BatchNorm, ReLU
    flatten   (n, 576)          dropout, linear
    logits    (n, classes) float32

Convolutions are unpadded, so maps shrink fast: that is where the speed comes from. Pooling comes
before BatchNorm, which then normalises a quarter of the values.
"""

from torch import Tensor, nn

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081  # of the 60,000 training pictures, ink 0..1


class Compact(nn.Module):
    def __init__(self, *, classes: int = 10, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(576, classes),
        )  # fmt: skip

    def forward(self, ink: Tensor) -> Tensor:
        logits: Tensor = self.layers((ink - MNIST_MEAN) / MNIST_DEVIATION)
        return logits


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

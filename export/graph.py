"""The graph that is exported: raw pixels in, logits and honest probabilities out.

    pixels (n, 28, 28) uint8 -> ink (n, 1, 28, 28) -> network -> / temperature -> logits
                                                                 softmax       -> probabilities

What the network was trained with travels inside the graph, so nobody downstream can scale,
normalise or calibrate differently. The network may work in half precision: what goes in and comes
out is the same, and the softmax is always float32.
"""

import copy
from typing import Self

import torch
from torch import Tensor, nn


class Graph(nn.Module):
    def __init__(
        self, network: nn.Module, temperature: float, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.precision = precision
        self.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        ink = pixels.unsqueeze(1).to(self.precision) / 255  # (n, 1, 28, 28), 0..1
        logits = self.network(ink).to(torch.float32) / self.temperature  # (n, classes)
        return logits, torch.softmax(logits, 1)

    def in_half_precision(self) -> Self:
        """A copy whose weights and steps are float16."""
        return type(self)(copy.deepcopy(self.network).half(), self.temperature, torch.float16)

"""The graph that is exported: raw pixels in, logits and honest probabilities out.

    pixels (n, 28, 28) uint8 -> ink (n, 1, 28, 28) -> network -> / temperature -> logits
                                                                 softmax       -> probabilities

What the network was trained with travels inside the graph, so nobody downstream can scale,
normalise or calibrate differently.
"""

import torch
from torch import Tensor, nn


class Graph(nn.Module):
    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        ink = pixels.unsqueeze(1).to(torch.float32) / 255  # (n, 1, 28, 28), 0..1
        logits = self.network(ink) / self.temperature  # (n, classes)
        return logits, torch.softmax(logits, 1)

"""A user's module with networks, which --torch names."""

from typing import Any

import torch
from torch import Tensor, nn


def build(classes: int, channels: int, height: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * (height - 2) * (width - 2), classes),
    )  # fmt: skip


def build_one_kind(num_classes: int) -> nn.Module:
    return build(num_classes, 3, 8, 10)


def build_with_options(**options: Any) -> nn.Module:
    return build(options["num_classes"], 3, 8, 10)


def build_a_number() -> int:
    return 7


def build_nothing(classes: int) -> nn.Module:
    raise RuntimeError(f"no network for {classes} classes")


class Boxes(nn.Module):
    """It returns two tensors."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.layers = build(classes, channels, 8, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.layers(images)
        return logits, torch.zeros(len(logits), 4)

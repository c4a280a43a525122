"""The TensorBoard log of a run: tensorboard --logdir runs

scalars     loss, accuracy and learning rate by epoch, training and validation apart
histograms  every layer's weights by epoch
images      pictures as they were learned from, and the worst errors at the end
graph       the network
"""

import warnings
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from training.evaluate import Judged
from training.progress import Epoch

PICTURES = 64


class Board:
    """Writes event files into `folder`; a context manager."""

    def __init__(self, folder: Path, epochs_before: int = 0) -> None:
        """After a stop, what was written past `epochs_before` is taken back."""
        again = epochs_before + 1 if epochs_before else None
        self._writer = SummaryWriter(str(folder), purge_step=again)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def begin(self, network: nn.Module, varied: Tensor) -> None:
        """The network's graph, and ink (n, 1, 28, 28) as it is learned from."""
        self._pictures("learned from", varied)
        with warnings.catch_warnings():
            # TensorBoard traces the graph, which PyTorch deprecates.
            warnings.simplefilter("ignore")
            self._writer.add_graph(network, varied[:1])

    def epoch(self, epoch: Epoch, network: nn.Module) -> None:
        values = {
            "loss/training": epoch.loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/training": epoch.accuracy,
            "accuracy/validation": epoch.validation_accuracy,
            "learning rate": epoch.learning_rate,
        }
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, epoch.epoch)
        for name, weights in network.named_parameters():
            self._writer.add_histogram(name, weights, epoch.epoch)

    def end(self, judged: Judged, pixels: Tensor) -> None:
        """The errors among pixels (n, 28, 28) that the network was surest of."""
        wrong = torch.nonzero(judged.answers != judged.labels)[:, 0]
        surest = wrong[judged.probabilities[wrong].max(1).values.argsort(descending=True)]
        if len(surest):
            self._pictures("misclassified", pixels[surest].unsqueeze(1) / 255)

    def _pictures(self, name: str, ink: Tensor) -> None:
        self._writer.add_images(name, 1 - ink[:PICTURES].cpu())

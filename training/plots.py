"""The plots of a training, each a matplotlib Figure.

    loss_graph         loss, accuracy and learning rate by epoch
    confusion_matrix   what was taken for what, errors in colour
    sample_predictions a few test pictures with answer and confidence
    misclassified      the worst errors: those the network was surest of
    reliability        confidence beside accuracy, before and after the temperature

Figures are drawn without pyplot: nothing is kept open, and no display is needed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from torch import Tensor

from contract.card import SIDE
from training.corruptions import corrupted
from training.evaluate import BINS, Judged, as_ink, reliability
from training.progress import Epoch

DPI = 120
BLUE, ORANGE, GREEN, RED, GREY = "#2f6db5", "#e07b22", "#2e8b57", "#c8372d", "#8a8f98"
MOST_NAMED = 30  # classes whose names fit beside a matrix

Pixels = NDArray[np.uint8]  # (n, 28, 28)


def write_plots(
    folder: Path,
    judged: Judged,
    pixels: Pixels,
    history: Sequence[Epoch] = (),
    kept_epoch: int = 0,
) -> None:
    """All of them as PNGs in `folder`; the loss graph only where there is a history."""
    figures = {
        "confusion_matrix": confusion_matrix(judged),
        "sample_predictions": sample_predictions(judged, pixels),
        "misclassified": misclassified(judged, pixels),
        "reliability": reliability_diagram(judged),
    }
    if history:
        figures["loss_graph"] = loss_graph(history, kept_epoch)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=DPI)


def loss_graph(history: Sequence[Epoch], kept_epoch: int) -> Figure:
    """What each epoch of a training reached; a ring is around the one whose weights were kept."""
    figure = _figure(11, 3.6)
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [epoch.epoch for epoch in history]
    judged = [epoch for epoch in history if epoch.validation_loss is not None]
    dot = {"marker": "o", "markersize": 3, "linewidth": 1.6}

    loss.plot(epochs, [e.loss for e in history], color=BLUE, label="training", **dot)
    accuracy.plot(epochs, [e.accuracy for e in history], color=BLUE, label="training", **dot)
    if judged:
        held = [e.epoch for e in judged]
        losses: list[Any] = [e.validation_loss for e in judged]
        loss.plot(held, losses, color=ORANGE, label="validation", **dot)
        rights: list[Any] = [e.validation_accuracy for e in judged]
        accuracy.plot(held, rights, color=ORANGE, label="validation", **dot)
        kept = next(e for e in judged if e.epoch == kept_epoch)
        text = f"kept: epoch {kept.epoch}, {kept.validation_accuracy:.2%}"
        for axes, value in ((loss, kept.validation_loss), (accuracy, kept.validation_accuracy)):
            axes.plot([kept.epoch], [value], "o", color=ORANGE, ms=9, mfc="none", mew=1.6)
        accuracy.set_xlabel(f"epoch      ({text})")
    rate.plot(epochs, [e.learning_rate for e in history], color=GREEN, **dot)

    for axes, title in ((loss, "Loss"), (accuracy, "Accuracy"), (rate, "Learning rate")):
        axes.set_title(title)
        axes.set_xlabel(axes.get_xlabel() or "epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _plain(axes)
    loss.set_yscale("log")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    lowest = min([e.accuracy for e in history] + [e.validation_accuracy or 1.0 for e in history])
    margin = 0.05 * (1 - lowest) + 1e-3
    accuracy.set_ylim(max(0.0, lowest - margin), 1 + margin)
    loss.legend(frameon=False)
    figure.suptitle(
        "Training is judged on pictures as they were varied, validation on pictures as they are",
        fontsize=9, color=GREY,
    )  # fmt: skip
    return figure


def confusion_matrix(judged: Judged) -> Figure:
    """Rows are the labels, columns the predictions; errors are coloured."""
    counts = judged.confusions()
    classes = len(judged.names)
    side = min(14.0, 3.0 + 0.48 * classes)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    wrong = np.where(np.eye(classes, dtype=bool), np.nan, counts.astype(float))
    worst = np.nanmax(wrong)
    colours = colormaps["OrRd"].with_extremes(bad="#e8f1ea")  # bad: the diagonal, which is right
    shown = axes.imshow(wrong, cmap=colours, vmin=0, vmax=max(1.0, worst))
    if classes <= MOST_NAMED:
        _write_counts(axes, counts, wrong, worst)
        axes.set_xticks(range(classes), judged.names, rotation=90 if _long(judged.names) else 0)
        axes.set_yticks(range(classes), judged.names)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    errors = int(counts.sum() - np.trace(counts))
    axes.set_title(f"{errors:,} of {counts.sum():,} read wrong ({judged.accuracy:.2%} right)")
    figure.colorbar(shown, ax=axes, shrink=0.7, label="errors")
    return figure


def _write_counts(
    axes: Axes, counts: NDArray[np.int64], wrong: NDArray[np.float64], worst: float
) -> None:
    size = 9 if len(counts) <= 12 else 6
    for row, column in np.argwhere(counts > 0):
        right = row == column
        light = not right and wrong[row, column] > 0.6 * worst
        colour = GREEN if right else "white" if light else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center",
                  fontsize=size, color=colour)  # fmt: skip


def sample_predictions(judged: Judged, pixels: Pixels, count: int = 30) -> Figure:
    """`count` test pictures, spread over all of them, with what was said of each."""
    count = min(count, len(pixels))
    chosen = _spread(count, len(pixels))
    return _sheet(judged, pixels, chosen, f"{count} of {len(pixels):,} test pictures")


def misclassified(judged: Judged, pixels: Pixels, count: int = 30) -> Figure:
    """Errors, the one the network was surest of first."""
    wrong = np.flatnonzero((judged.answers != judged.labels).numpy())
    confidence = judged.probabilities.max(1).values.numpy()[wrong]
    order = wrong[np.argsort(-confidence, kind="stable")][:count]
    title = f"{len(wrong):,} of {len(pixels):,} read wrong"
    if len(wrong) > len(order):
        title += f"; the {len(order)} that the network was surest of"
    return _sheet(judged, pixels, order, title if len(wrong) else "No picture was read wrong")


def _sheet(judged: Judged, pixels: Pixels, order: NDArray[np.int64], title: str) -> Figure:
    """Pictures side by side with what was said above each: one image, much faster than thirty."""
    columns = 10 if not _long(judged.names) else 6
    wide, high = 8 + SIDE * 10 // columns, SIDE + 14  # pixels of a cell
    rows = max(1, -(-len(order) // columns))
    sheet = np.full((rows * high, columns * wide), 255, np.uint8)
    figure = _figure(11, 0.5 + 11 / columns * high / wide * 0.95 * rows)
    axes = figure.subplots()
    probabilities = judged.probabilities.numpy()
    for place, number in enumerate(order):
        top, left = place // columns * high + 12, place % columns * wide + (wide - SIDE) // 2
        sheet[top : top + SIDE, left : left + SIDE] = 255 - pixels[number]
        answer, label = int(judged.answers[number]), int(judged.labels[number])
        words = f"{judged.names[answer]}  {probabilities[number, answer]:.1%}"
        if answer != label:
            words += f"\nis {judged.names[label]}  {probabilities[number, label]:.1%}"
        axes.text(left + SIDE / 2, top - 1, words, ha="center", va="bottom", fontsize=8,
                  color=GREEN if answer == label else RED, parse_math=False)  # fmt: skip
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.axis("off")
    axes.set_title(title, fontsize=11)
    return figure


def reliability_diagram(judged: Judged) -> Figure:
    """How often the network was right when it said it was this sure."""
    figure = _figure(9, 4.6)
    pairs = figure.subplots(2, 2, sharex=True, height_ratios=(3, 1))
    for column, (title, temperature) in enumerate(
        (
            ("Before calibration", 1.0),
            (f"After, temperature {judged.temperature:.3f}", judged.temperature),
        )
    ):
        upper, lower = pairs[:, column]
        bars = reliability(judged.logits / temperature, judged.labels)
        error = sum(abs(bar.accuracy - bar.confidence) * bar.share for bar in bars)
        middle = [bar.low + 0.5 / BINS for bar in bars]
        upper.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        upper.bar(middle, [b.accuracy for b in bars], 0.9 / BINS, color=BLUE, label="right")
        upper.plot([b.confidence for b in bars], [b.accuracy for b in bars], "o", color=ORANGE,
                   ms=4, label="mean confidence")  # fmt: skip
        upper.set_title(f"{title}: error {error:.2%}")
        lower.bar(middle, [b.share for b in bars], 0.9 / BINS, color=GREY)
        lower.set_yscale("log")
        lower.set_xlabel("confidence")
        for axes in (upper, lower):
            axes.set_xlim(0, 1)
            _plain(axes)
        upper.set_ylim(0, 1.02)
        upper.yaxis.set_major_formatter(PercentFormatter(1))
        lower.xaxis.set_major_formatter(PercentFormatter(1))
        lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=2))
    pairs[0, 0].set_ylabel("right")
    pairs[1, 0].set_ylabel("of answers")
    pairs[0, 0].legend(frameon=False, loc="upper left")
    return figure


def corruption_sheet(pixels: Tensor, accuracies: Mapping[str, float]) -> Figure:
    """A row of test pictures under each corruption, with the fraction of all that is read right.

    `pixels` (n, 28, 28) uint8.
    """
    columns = min(12, len(pixels))
    ink = as_ink(pixels[_spread(columns, len(pixels))])  # (columns, 1, 28, 28)
    rows = list(accuracies.items())
    figure = _figure(1.9 + 0.7 * columns, 0.72 * len(rows))
    for axes, (name, accuracy) in zip(figure.subplots(len(rows), 1), rows, strict=True):
        strip = torch.cat(list(corrupted(name, ink)[:, 0]), 1).numpy()  # (28, n * 28)
        axes.imshow(1 - strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_ylabel(f"{name}\n{accuracy:.1%}", rotation=0, ha="right", va="center", fontsize=9)
        axes.set_xticks([], [])
        axes.set_yticks([], [])
        axes.spines[:].set_visible(False)
    return figure


def _spread(count: int, pictures: int) -> NDArray[np.int64]:
    """`count` numbers out of all, evenly spread: own pictures come class by class."""
    return np.linspace(0, pictures - 1, count).astype(np.int64)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 3

"""The plots of a training, each a matplotlib Figure.

    loss_graph         loss, accuracy and learning rate by epoch
    confusion_matrix   labels and predictions, with errors in colour
    sample_predictions some test images with prediction and confidence
    misclassified      the most confident errors
    reliability        accuracy by confidence, before and after the temperature

Figures are drawn without pyplot, so they need no display and are freed when they are unused.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
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

from contract.card import SIDE, DigitPreparation, Preparation
from contract.files import replace_together
from training.corruptions import corrupted
from training.evaluate import BINS, Judged, as_input, calibration_error, reliability
from training.fonts import drawable
from training.progress import Epoch

DPI = 120
BLUE, ORANGE, GREEN, RED, GREY = "#2f6db5", "#e07b22", "#2e8b57", "#c8372d", "#8a8f98"
MOST_NAMED = 30  # classes whose names fit next to a matrix

# Errors of one kind that are painted darkest, at least: a single one is no pattern.
MANY_ERRORS = 10

Pixels = NDArray[np.uint8]  # (n, h, w) or (n, h, w, 3)


class Plot(Figure):
    """A figure that a notebook shows as it is, without pyplot and `%matplotlib inline`."""

    def _repr_png_(self) -> bytes:
        return as_png(self)


def as_seen(pixels: Pixels, preparation: Preparation) -> Pixels:
    """Pixels to show: dark on light, where the preparation of digits made ink white."""
    return 255 - pixels if isinstance(preparation, DigitPreparation) else pixels


def write_plots(
    folder: Path,
    judged: Judged,
    pixels: Pixels,
    history: Sequence[Epoch] = (),
    kept_epoch: int = 0,
) -> None:
    """Write all plots, or none, as PNGs to `folder`; `pixels` are shown as they are, see `as_seen`.

    The loss graph is left out without a history, the confusion matrix with too many classes.
    """
    figures = {
        "sample_predictions": sample_predictions(judged, pixels),
        "misclassified": misclassified(judged, pixels),
        "reliability": reliability_diagram(judged),
    }
    if judged.tabulates:
        figures["confusion_matrix"] = confusion_matrix(judged)
    if history:
        figures["loss_graph"] = loss_graph(history, kept_epoch)
    replace_together({folder / f"{name}.png": as_png(each) for name, each in figures.items()})


def loss_graph(history: Sequence[Epoch], kept_epoch: int) -> Figure:
    """The results of each epoch; a ring marks the epoch whose weights were kept."""
    figure = new_figure(11, 3.6)
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [epoch.epoch for epoch in history]
    judged = [epoch for epoch in history if epoch.validation_loss is not None]
    dot = {"marker": "o", "markersize": 3, "linewidth": 1.6}

    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        axes.plot(epochs, [getattr(e, name) for e in history], color=BLUE, label="training", **dot)
        if judged:
            values = {e.epoch: getattr(e, f"validation_{name}") for e in judged}
            axes.plot([*values], [*values.values()], color=ORANGE, label="validation", **dot)
            kept = values[kept_epoch]
            axes.plot([kept_epoch], [kept], "o", color=ORANGE, ms=9, mfc="none", mew=1.6)
    if judged:
        accuracy.set_xlabel(f"epoch      (kept: epoch {kept_epoch}, {kept:.2%})")
    rate.plot(epochs, [e.learning_rate for e in history], color=GREEN, **dot)

    for axes, title in ((loss, "Loss"), (accuracy, "Accuracy"), (rate, "Learning rate")):
        axes.set_title(title)
        axes.set_xlabel(axes.get_xlabel() or "epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain_axes(axes)
    loss.set_yscale("log")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    lowest = min([e.accuracy for e in history] + [e.validation_accuracy or 1.0 for e in history])
    margin = 0.05 * (1 - lowest) + 1e-3
    accuracy.set_ylim(max(0.0, lowest - margin), 1 + margin)
    loss.legend(frameon=False)
    figure.suptitle(
        "Training is measured on augmented images, validation on the original ones",
        fontsize=9, color=GREY,
    )  # fmt: skip
    return figure


def confusion_matrix(judged: Judged) -> Figure:
    """Rows are the labels, columns the predictions; errors are coloured.

    It is for up to 1,000 classes: see `Judged.tabulates`.
    """
    counts = judged.confusions()
    classes = len(judged.names)
    side = min(14.0, 3.0 + 0.48 * classes)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    wrong = np.where(np.eye(classes, dtype=bool), np.nan, counts.astype(float))
    worst = max(MANY_ERRORS, np.nanmax(wrong, initial=0))
    colours = colormaps["OrRd"].with_extremes(bad="#e8f1ea")  # bad: the diagonal, which is right
    shown = axes.imshow(wrong, cmap=colours, vmin=0, vmax=worst)
    if classes <= MOST_NAMED:
        _write_counts(axes, counts, wrong, worst)
        names, fonts = drawable(judged.names)
        style: dict[str, Any] = {"fontfamily": fonts, "parse_math": False}
        axes.set_xticks(range(classes), names, rotation=90 if _long(names) else 0, **style)
        axes.set_yticks(range(classes), names, **style)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    errors = int(counts.sum() - np.trace(counts))
    axes.set_title(f"{errors:,} of {counts.sum():,} misclassified (accuracy {judged.accuracy:.2%})")
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
    """`count` test images, evenly spread over all of them, with their predictions."""
    count = min(count, len(pixels))
    chosen = _spread(count, len(pixels))
    return _sheet(judged, pixels, chosen, f"{count} of {len(pixels):,} test images")


def misclassified(judged: Judged, pixels: Pixels, count: int = 30) -> Figure:
    """The misclassified images, the most confident errors first."""
    errors = judged.errors()
    title = f"{len(errors):,} of {len(pixels):,} misclassified"
    if len(errors) > count:
        title += f"; the {count} most confident errors"
    return _sheet(judged, pixels, errors[:count], title if len(errors) else "No errors")


def _sheet(judged: Judged, pixels: Pixels, order: NDArray[np.int64], title: str) -> Figure:
    """Images with their predictions, drawn as one image: that is much faster than thirty."""
    names, fonts = drawable(judged.names)
    columns = 10 if not _long(names) else 6
    side, across = pixels.shape[1:3]
    unit = max(side, across) / SIDE  # so that texts have room above images of any size
    wide, high = int((8 + SIDE * 10 // columns) * unit), int((SIDE + 14) * unit)  # of a cell
    rows = max(1, -(-len(order) // columns))
    sheet = np.full((rows * high, columns * wide, *pixels.shape[3:]), 255, np.uint8)
    figure = new_figure(11, 0.5 + 11 / columns * high / wide * 0.95 * rows)
    axes = figure.subplots()
    probabilities = judged.probabilities.numpy()
    for place, number in enumerate(order):
        top = place // columns * high + int(12 * unit)
        left = place % columns * wide + (wide - across) // 2
        sheet[top : top + side, left : left + across] = pixels[number]
        predicted, label = int(judged.predicted[number]), int(judged.labels[number])
        text = f"{names[predicted]}  {probabilities[number, predicted]:.1%}"
        if predicted != label:
            text += f"\nis {names[label]}  {probabilities[number, label]:.1%}"
        axes.text(left + across / 2, top - unit, text, ha="center", va="bottom", fontsize=8,
                  color=GREEN if predicted == label else RED, parse_math=False,
                  fontfamily=fonts)  # fmt: skip
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.axis("off")
    axes.set_title(title, fontsize=11)
    return figure


def reliability_diagram(judged: Judged) -> Figure:
    """The accuracy of the predictions by their confidence."""
    figure = new_figure(9, 4.6)
    pairs = figure.subplots(2, 2, sharex=True, height_ratios=(3, 1))
    titles = "Before calibration", f"After, temperature {judged.temperature:.3f}"
    temperatures = 1.0, judged.temperature
    for (upper, lower), title, temperature in zip(pairs.T, titles, temperatures, strict=True):
        logits = judged.logits / temperature
        bars, error = reliability(logits, judged.labels), calibration_error(logits, judged.labels)
        middle = [bar.low + 0.5 / BINS for bar in bars]
        upper.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        upper.bar(middle, [b.accuracy for b in bars], 0.9 / BINS, color=BLUE, label="accuracy")
        upper.plot(middle, [b.confidence for b in bars], "_", color=ORANGE, ms=10, mew=2,
                   label="mean confidence")  # fmt: skip
        upper.set_title(f"{title}: error {error:.2%}")
        lower.bar(middle, [b.share for b in bars], 0.9 / BINS, color=GREY)
        lower.set_yscale("log")
        lower.set_ylim(top=1)
        lower.set_xlabel("confidence")
        for axes in (upper, lower):
            axes.set_xlim(0, 1)
            plain_axes(axes)
        upper.set_ylim(0, 1.02)
        upper.yaxis.set_major_formatter(PercentFormatter(1))
        lower.xaxis.set_major_formatter(PercentFormatter(1))
        lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=2))
    pairs[0, 0].set_ylabel("accuracy")
    pairs[1, 0].set_ylabel("of predictions")
    handles, labels = pairs[0, 0].get_legend_handles_labels()
    # Outside the axes, where no bar can be.
    figure.legend(handles, labels, frameon=False, ncols=2, loc="outside lower center")
    return figure


def corruption_sheet(pixels: Tensor, accuracies: Mapping[str, float]) -> Figure:
    """A row of test images under each corruption, with the accuracy on all images.

    `pixels` (n, 28, 28) uint8.
    """
    columns = min(12, len(pixels))
    ink = as_input(pixels[_spread(columns, len(pixels))])  # (columns, 1, 28, 28)
    rows = list(accuracies.items())
    figure = new_figure(1.9 + 0.7 * columns, 0.72 * len(rows))
    for axes, (name, accuracy) in zip(figure.subplots(len(rows), 1), rows, strict=True):
        strip = torch.cat(list(corrupted(name, ink)[:, 0]), 1).numpy()  # (28, n * 28)
        axes.imshow(1 - strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_ylabel(f"{name}\n{accuracy:.1%}", rotation=0, ha="right", va="center", fontsize=9)
        axes.set_xticks([], [])
        axes.set_yticks([], [])
        axes.spines[:].set_visible(False)
    return figure


def _spread(count: int, images: int) -> NDArray[np.int64]:
    """`count` indices, evenly spread because a user's own images are ordered by class."""
    return np.linspace(0, images - 1, count).astype(np.int64)


def new_figure(width: float, height: float) -> Figure:
    return Plot(figsize=(width, height), layout="constrained")


def as_png(figure: Figure) -> bytes:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 3

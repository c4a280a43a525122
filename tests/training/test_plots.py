"""The plots show the results of a run with readable labels."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from contract.card import DigitPreparation, Preparation, StretchPreparation
from training import plots
from training.evaluate import Judged, reliability
from training.progress import Epoch

PIXELS = np.zeros((60, 28, 28), np.uint8)


def judged(names: tuple[str, ...] = tuple("0123456789")) -> Judged:
    """Sixty predictions in class order; 5 and 50 are wrong, 50 with the higher confidence."""
    labels = torch.arange(60) * len(names) // 60
    answers = labels.clone()
    answers[5], answers[50] = 1, 0
    logits = torch.nn.functional.one_hot(answers, len(names)).float() * 5
    logits[50] *= 2
    return Judged(logits, labels, 0.8, names)


def epochs(*losses: float | None) -> list[Epoch]:
    return [
        Epoch(number, 0.3, 0.9, loss, None if loss is None else 0.95 + number / 1000, 0.01, number)
        for number, loss in enumerate(losses, 1)
    ]


def test_the_loss_graph_has_three_panels_and_marks_the_kept_epoch() -> None:
    loss, accuracy, rate = plots.loss_graph(epochs(0.1, 0.05, 0.05002), kept_epoch=3).axes
    assert [axes.get_title() for axes in (loss, accuracy, rate)] == [
        "Loss", "Accuracy", "Learning rate",
    ]  # fmt: skip
    assert len(loss.lines) == 3  # training, validation, ring
    assert np.array(loss.lines[2].get_xydata()).tolist() == [[3, 0.05002]]
    assert "kept: epoch 3, 95.30%" in accuracy.get_xlabel()


def test_without_validation_the_loss_graph_shows_only_training() -> None:
    loss, accuracy, _ = plots.loss_graph(epochs(None, None), kept_epoch=2).axes
    assert len(loss.lines) == len(accuracy.lines) == 1


def test_the_confusion_matrix_counts_all_images_and_colours_only_errors() -> None:
    axes = plots.confusion_matrix(judged()).axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[(0, 0)] == "5"
    assert texts[(1, 0)] == texts[(0, 8)] == "1"  # (predicted, true)
    assert sum(map(int, texts.values())) == 60
    coloured: Any = axes.images[0].get_array()
    assert np.ma.getmaskarray(coloured).diagonal().all()
    assert axes.get_title() == "2 of 60 misclassified (accuracy 96.67%)"


def test_the_most_confident_error_comes_first_with_both_labels() -> None:
    axes = plots.misclassified(judged(), PIXELS).axes[0]
    words = [text.get_text() for text in axes.texts]
    assert len(words) == 2
    assert words[0].startswith("0  100.0%\nis 8  0.0%")
    assert words[1].startswith("1  ")


def test_the_sheet_states_that_there_are_no_errors() -> None:
    right = replace(judged(), labels=judged().predicted)
    assert plots.misclassified(right, PIXELS).axes[0].get_title() == "No errors"


def test_samples_are_spread_over_all_classes() -> None:
    texts = plots.sample_predictions(judged(), PIXELS, count=10).axes[0].texts
    assert len({text.get_text()[0] for text in texts}) == 10


def test_class_names_are_not_parsed_as_formulas_and_fit() -> None:
    names = ("a$b$", "ankle boot", "T-shirt/top")
    figure = plots.sample_predictions(judged(names), PIXELS, count=12)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for one, other in pairwise(boxes):
        assert not one.overlaps(other)
    assert any("a$b$" in text.get_text() for text in figure.axes[0].texts)


def test_the_reliability_diagram_shows_the_error_before_and_after_calibration() -> None:
    titles = [axes.get_title() for axes in plots.reliability_diagram(judged()).axes]
    assert titles[0].startswith("Before calibration: error ")
    assert "temperature 0.800: error " in titles[2 - 1] + titles[2]


@pytest.mark.parametrize("count", [3, 60])
def test_the_corruption_sheet_has_one_row_per_corruption(count: int) -> None:
    sheet = plots.corruption_sheet(torch.tensor(PIXELS[:count]), {"fog": 0.9, "edges": 0.5})
    assert [axes.get_ylabel() for axes in sheet.axes] == ["fog\n90.0%", "edges\n50.0%"]


def test_a_single_error_is_not_painted_darkest() -> None:
    image = plots.confusion_matrix(judged()).axes[0].images[0]
    assert image.norm.vmax == 10  # though no class was taken for another more than once


def test_reliability_shows_the_mean_confidence_of_each_bin_as_computed() -> None:
    axes = plots.reliability_diagram(judged()).axes[0]
    marks = next(line for line in axes.lines if line.get_label() == "mean confidence")
    bars = reliability(judged().logits, judged().labels)
    assert np.asarray(marks.get_ydata()).tolist() == [bar.confidence for bar in bars]
    assert [bar.confidence for bar in bars] != [bar.accuracy for bar in bars]


def test_names_in_scripts_without_a_font_become_their_index() -> None:
    names = ("cat", "собака", "q\U000e0041")  # the last letter is a tag, which has no shape
    axes = plots.confusion_matrix(judged(names)).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cat", "собака", "class 2"]
    axes.figure.canvas.draw()  # warns of letters without a shape


def test_dollars_in_names_are_no_formulas() -> None:
    figure = plots.confusion_matrix(judged(("$x^$", "a")))
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("preparation", "shown"), [(DigitPreparation(), 178), (StretchPreparation(size=(28, 28)), 77)]
)
def test_only_images_prepared_as_digits_are_shown_dark_on_light(
    preparation: Preparation, shown: int
) -> None:
    pixels = np.full((60, 28, 28), 77, np.uint8)
    axes = plots.sample_predictions(judged(), plots.as_seen(pixels, preparation)).axes[0]
    sheet: Any = axes.images[0].get_array()
    assert (sheet == shown).sum() == 30 * 28 * 28


@pytest.mark.parametrize("shape", [(40, 64), (40, 64, 3)], ids=["gray", "colour"])
def test_images_of_any_size_and_colour_are_shown_as_they_are(shape: tuple[int, ...]) -> None:
    pixels = np.full((60, *shape), 77, np.uint8)
    axes = plots.sample_predictions(judged(), pixels, count=12).axes[0]
    sheet: Any = axes.images[0].get_array()
    assert (sheet == 77).sum() == 12 * pixels[0].size
    assert len(axes.texts) == 12

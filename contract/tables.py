"""Tables for people: aligned columns, and the parts of a model card."""

import re
import textwrap
from collections.abc import Sequence

from contract.card import ModelCard

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]\d+)?(%| us| k?B| MB| GB| points)?")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a head, each column as wide as its longest cell; numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def pairs(rows: Sequence[Sequence[str]], width: int = 100) -> str:
    """Names and what they stand for, long texts wrapped."""
    left = max(len(name) for name, _ in rows) + 2
    lines = []
    for name, text in rows:
        parts = textwrap.wrap(text, width - left, break_long_words=False) or [""]
        lines += [f"{name.ljust(left)}{parts[0]}", *(" " * left + part for part in parts[1:])]
    return "\n".join(lines)


def percent(fraction: float) -> str:
    return f"{fraction:.2%}"


def size(count: int) -> str:
    """Bytes, in the unit that suits them: 146 kB."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} B"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def card_facts(card: ModelCard, where: str) -> str:
    """What is on it but the tables below; `where` is the version's folder, with any remarks."""
    data, judged = card.data_set, card.evaluation
    rows = [
        ["version", where],
        ["created", f"{card.created:%Y-%m-%d %H:%M:%S %Z}"],
        ["network", f"{card.network}, {card.parameters:,} parameters"],
        ["labels", " ".join(card.labels)],
        ["data", f"{data.name} from {data.source}"],
        ["pictures", f"{data.train:,} learned, {data.validation:,} held out, {data.test:,} test"],
        ["right", percent(judged.accuracy)],
        [
            "calibration error",
            f"{percent(judged.calibration_error)}, before the temperature "
            f"{percent(judged.calibration_error_before)}",
        ],
        ["temperature", f"{card.temperature:.3f}"],
        ["accepted", accepted(card)],
        ["run", card.run],
        ["commit", card.git_commit or "unknown"],
        ["recipe", ", ".join(f"{key}={value}" for key, value in card.recipe.items())],
        ["libraries", ", ".join(f"{key} {value}" for key, value in card.libraries.items())],
        ["opset", f"{card.opset}"],
        ["measured on", card.measured_on],
    ]
    return pairs(rows)


def card_artifacts(card: ModelCard) -> str:
    """Every artifact beside PyTorch, and those that were left out."""
    rows = [
        [
            name,
            size(card.files[name].size) if name in card.files else "missing",
            percent(parity.accuracy),
            f"{parity.different_answers}",
            f"{parity.largest_difference:.1e}",
            f"{parity.mean_difference:.1e}",
            microseconds(parity.seconds_1),
            microseconds(parity.seconds_64),
        ]
        for name, parity in card.parity.items()
    ]
    head = ["artifact", "size", "right", "other answers", "largest", "mean", "1 a call", "64"]
    left_out = [f"{name} is left out: {reason}" for name, reason in card.left_out.items()]
    return "\n".join([table(head, rows), *left_out])


def card_classes(card: ModelCard) -> str:
    rows = [
        [
            each.label,
            f"{each.precision:.4f}",
            f"{each.recall:.4f}",
            f"{each.f1:.4f}",
            f"{each.support}",
        ]
        for each in card.evaluation.per_class
    ]
    return table(["class", "precision", "recall", "f1", "pictures"], rows)


def card_files(card: ModelCard) -> str:
    rows = [[name, size(facts.size), facts.sha256] for name, facts in card.files.items()]
    return table(["file", "size", "sha256"], rows)


def accepted(card: ModelCard) -> str:
    """From which confidence on answers are accepted, and what that gave: follows 'accepted'."""
    found = card.acceptance
    if found is None:
        if card.schema_version == 2:
            return "whatever the confidence: the card is of before there was a threshold"
        return "whatever the confidence: the run kept too few validation pictures for a threshold"
    data = card.data_set
    validation = _share(data.validation, "validation", found.validation_accepted)
    test = _share(data.test, "test", found.test_accepted)
    return (
        f"from a confidence of {found.threshold:.4f} on: {validation}"
        f"{_accuracy(found.validation_accuracy)}; {test}{_accuracy(found.test_accuracy)}"
    )


def _share(pictures: int, name: str, share: float) -> str:
    return f"{percent(share)} of {pictures:,} {name} pictures"


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f", {percent(accuracy)} of them right"

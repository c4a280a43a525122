"""A version's card as people read it: facts, artifacts, classes, files, threshold."""

from contract.card import ModelCard
from contract.tables import microseconds, pairs, percent, size, table


def facts(card: ModelCard, where: str) -> str:
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


def artifacts(card: ModelCard) -> str:
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


def classes(card: ModelCard) -> str:
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


def files(card: ModelCard) -> str:
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

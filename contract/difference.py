"""What `python -m contract diff` answers: how two versions' cards differ."""

from typing import Any

from contract.card import ModelCard
from contract.report import Answer
from contract.store import Store
from contract.tables import percent, table


def comparing(store: Store, first: int, second: int) -> Answer:
    a, b = store.card(first), store.card(second)
    accuracy = {
        "accuracy": [a.evaluation.accuracy, b.evaluation.accuracy],
        "calibration_error": [a.evaluation.calibration_error, b.evaluation.calibration_error],
    }
    flat_a, flat_b = _flat(a), _flat(b)
    differing = {
        key: [flat_a.get(key), flat_b.get(key)]
        for key in [*flat_a, *(key for key in flat_b if key not in flat_a)]
        if flat_a.get(key) != flat_b.get(key)
    }
    rows = [
        [name.replace("_", " "), percent(x), percent(y), f"{(y - x) * 100:+.2f} points"]
        for name, (x, y) in accuracy.items()
    ]
    rows += _recalls(a, b)
    rows += [
        [key, _cell(x), _cell(y), ""]
        for key, (x, y) in differing.items()
        if not key.startswith("evaluation.")  # told above
    ]
    answer = {"versions": [first, second], **accuracy, "differing": differing}
    return answer, table(["", f"version {first}", f"version {second}", "difference"], rows)


def _recalls(a: ModelCard, b: ModelCard) -> list[list[str]]:
    """Of each class that both versions know and one reads better."""
    before = {each.label: each.recall for each in a.evaluation.per_class}
    return [
        [
            f"recall of {each.label}",
            percent(before[each.label]),
            percent(each.recall),
            f"{(each.recall - before[each.label]) * 100:+.2f} points",
        ]
        for each in b.evaluation.per_class
        if each.label in before and before[each.label] != each.recall
    ]


def _flat(card: ModelCard) -> dict[str, Any]:
    """The card's facts by dotted name."""
    facts = card.model_dump(mode="json", exclude={"input", "outputs"})
    facts["labels"] = " ".join(facts["labels"])
    facts["files"] = {
        name: f"{each['size']} bytes, {each['sha256'][:12]}"
        for name, each in facts["files"].items()
    }
    classes = facts["evaluation"]["per_class"]
    facts["evaluation"]["per_class"] = {each["label"]: each for each in classes}
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}{key}.", inner)
        else:
            flat[prefix[:-1]] = value

    walk("", facts)
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)

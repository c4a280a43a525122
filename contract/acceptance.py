"""How the card's threshold is told to people."""

from contract.card import ModelCard
from contract.tables import percent


def accepted(card: ModelCard) -> str:
    """From which confidence on answers are accepted, and what that gave: follows 'accepted'."""
    found = card.acceptance
    if found is None:
        return _WITHOUT[card.schema_version == 2]
    data = card.data_set
    validation = _part(data.validation, "validation", found.validation_accepted)
    test = _part(data.test, "test", found.test_accepted)
    return (
        f"from a confidence of {found.threshold:.4f} on: {validation}"
        f"{_right(found.validation_accuracy)}; {test}{_right(found.test_accuracy)}"
    )


_WITHOUT = {
    True: "whatever the confidence: the card is of before there was a threshold",
    False: "whatever the confidence: the run kept too few validation pictures for a threshold",
}


def _part(pictures: int, name: str, share: float) -> str:
    return f"{percent(share)} of {pictures:,} {name} pictures"


def _right(accuracy: float | None) -> str:
    return "" if accuracy is None else f", {percent(accuracy)} of them right"

"""Activation by hand: a version that is known to be worse than the current one must be forced.

    the verdict of its gate is worse                        refused, with the failed checks
    its accuracy on as many images of the same data set
    is lower than the current version's, beyond chance      refused, with both accuracies
    an accuracy is unknown, or the images are others        activated, with a warning

A rollback is never checked: it is for emergencies, and restores what served before.
"""

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from contract.card import ModelCard
from contract.current import Switch
from contract.errors import BrokenVersion, Moved, NoVersion, StoreError, WorseVersion
from contract.store import Store

SIGNIFICANT = 0.01  # probability of chance below which an accuracy counts as lower


class Activated(NamedTuple):
    switch: Switch | None  # None: it was current already
    warnings: tuple[str, ...]  # sentences: what is worse, though forced, and what is unknown


def activate(store: Store, number: int, *, force: bool = False) -> Activated:
    """Verify a version and make it the current one.

    Raises WorseVersion, unless `force`, if it is known to be worse than the current one.
    """
    while True:
        current = _current(store)
        warnings = compare(store, number, current, force=force)
        try:
            return Activated(store.activate(number, expected=current), warnings)
        except Moved:
            continue  # compare it with the version that is current now


def check(store: Store, number: int, *, force: bool = False) -> None:
    """Raises WorseVersion if `activate` would. Nothing is changed."""
    compare(store, number, _current(store), force=force)


def compare(
    store: Store, number: int, current: int | None, *, force: bool = False
) -> tuple[str, ...]:
    """Warnings about a version in place of the current one; WorseVersion as `activate`.

    Only cards are read. A version whose card cannot be read gets no warning: no version that is
    damaged can be activated.
    """
    if current is None or current == number:
        return ()
    try:
        card = store.card(number)
    except StoreError:
        return ()
    try:
        before = store.card(current)
    except StoreError:
        return (f"The card of version {current}, the current one, cannot be read: not compared.",)
    worse, unknown = [*_failed_checks(number, card)], list[str]()
    if card.gate is None or card.gate.parent != current:  # else it says more than the accuracies
        worse += _lower_accuracy(number, card, current, before)
        unknown += _unknown(number, card, current, before)
    if worse and not force:
        raise WorseVersion(" ".join(worse))
    return (*worse, *unknown)


def _current(store: Store) -> int | None:
    try:
        return store.current()
    except (NoVersion, BrokenVersion):  # an activation repairs it
        return None


def _failed_checks(number: int, card: ModelCard) -> Iterator[str]:
    if card.gate is not None and card.gate.verdict == "worse":
        parent = card.gate.parent
        for each in card.gate.checks:
            if not each.passed:
                yield f"Version {number} is worse than {parent} in {each.name}: {each.reason}"


def _lower_accuracy(number: int, card: ModelCard, current: int, before: ModelCard) -> Iterator[str]:
    found, found_before = _tested(card), _tested(before)
    if found is None or found_before is None or found[1:] != found_before[1:]:
        return
    accuracy, data, images = found
    if _chance(found_before[0], accuracy, images) < SIGNIFICANT:
        yield (
            f"The accuracy of version {number} on {images:,} test images of {data} is "
            f"{accuracy:.2%}, that of version {current}, the current one, is {found_before[0]:.2%}."
        )


def _unknown(number: int, card: ModelCard, current: int, before: ModelCard) -> Iterator[str]:
    """What keeps the two from being compared."""
    found = {number: _tested(card), current: _tested(before)}
    for version, tested in found.items():
        if tested is None:
            yield f"The accuracy of version {version} is unknown: not compared."
    of = {version: tested[1:] for version, tested in found.items() if tested is not None}
    if len(of) == 2 and of[number] != of[current]:
        images = (f"version {key} on {n:,} images of {data}" for key, (data, n) in of.items())
        yield f"They were tested on different images: {', '.join(images)}; not compared."


def _tested(card: ModelCard) -> tuple[float, str, int] | None:
    """The accuracy, 0..1, and the data set and number of its test images; None: unknown."""
    if card.evaluation is None or card.data_set is None:
        return None
    return card.evaluation.accuracy, card.data_set.name, card.data_set.test


def _chance(before: float, after: float, images: int) -> float:
    """The probability of such a loss if both accuracies, of that many images each, are equal.

    One-sided test of two proportions.
    """
    pooled = (before + after) / 2
    deviation = sqrt(2 * pooled * (1 - pooled) / images) if images else 0.0
    return NormalDist().cdf((after - before) / deviation) if deviation else 1.0

"""Activation by hand: a version that is known to be worse than the current one must be forced.

    the verdict of its gate is worse                        refused, with the failed checks
    it was not judged against the current version, and
    its accuracy is lower by more than chance               refused, with both accuracies
    the two were tested on different images                 activated, with a warning
    labels differ, or an accuracy is unknown                activated, with a warning

A rollback is never checked: it is for emergencies, and restores what served before. A retraining
job activates what it has published only if that was judged against the current version.
"""

from collections.abc import Iterator
from contextlib import suppress
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

from contract.card import Gate, ModelCard
from contract.current import Switch
from contract.errors import BrokenVersion, Moved, NoVersion, StoreError, WorseVersion
from contract.store import Store
from contract.version import Version

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
    worse = [*failed_checks(number, card.gate)] if card.gate else []
    unknown = [*_unknown(number, card, current, before)]
    if card.gate is None or card.gate.parent != current:  # else it says more than the accuracies
        worse += _lower_accuracy(number, card, current, before)
    if worse and not force:
        raise WorseVersion(" ".join(worse))
    return (*worse, *unknown)


def failed_checks(number: int, gate: Gate) -> Iterator[str]:
    """What the verdict "worse" names, as sentences; nothing of another verdict."""
    if gate.verdict == "worse":
        for each in gate.checks:
            if not each.passed:
                yield f"Version {number} is worse than {gate.parent} in {each.name}: {each.reason}"


def published_by(job: str, store: Store, *, judged: bool = True) -> Version | None:
    """What a retraining job has published; if `judged`, unless another version is current since."""
    try:
        current = store.current()
    except NoVersion:
        current = None
    for number in store.of_job(job):
        gate = store.card(number).gate
        if not judged or number == current or (gate and gate.parent) == current:
            with suppress(StoreError):  # it is damaged: publish another one
                return store.open(number)
    return None


def _current(store: Store) -> int | None:
    try:
        return store.current()
    except (NoVersion, BrokenVersion):  # an activation repairs it
        return None


def _lower_accuracy(number: int, card: ModelCard, current: int, before: ModelCard) -> Iterator[str]:
    tested, tested_before = _tested(card), _tested(before)
    if tested is None or tested_before is None or card.labels != before.labels:
        return
    if _chance(tested, tested_before) < SIGNIFICANT:
        yield (
            f"The accuracy of version {number} is {tested}, that of version {current}, the current "
            f"one, is {tested_before}."
        )


def _unknown(number: int, card: ModelCard, current: int, before: ModelCard) -> Iterator[str]:
    """What keeps the two from being compared, or makes it uncertain."""
    tested, tested_before = _tested(card), _tested(before)
    if card.labels != before.labels:
        yield f"Versions {number} and {current} have different labels: not compared."
    elif tested is None or tested_before is None:
        which = number if tested is None else current
        yield f"The accuracy of version {which} is unknown: not compared."
    elif (tested.data, tested.images) != (tested_before.data, tested_before.images):
        yield (
            f"They were tested on different images: the accuracy of version {number} is {tested}, "
            f"that of version {current} {tested_before}."
        )


class _Tested(NamedTuple):
    accuracy: float  # 0..1
    data: str  # name of the data set
    images: int

    def __str__(self) -> str:
        return f"{self.accuracy:.2%} of {self.images:,} test images of {self.data}"


def _tested(card: ModelCard) -> _Tested | None:
    """None: its accuracy is unknown."""
    if card.evaluation is None or card.data_set is None or card.data_set.test == 0:
        return None
    return _Tested(card.evaluation.accuracy, card.data_set.name, card.data_set.test)


def _chance(tested: _Tested, before: _Tested) -> float:
    """The probability of such a difference or a larger one if both are equally accurate.

    One-sided test of two proportions.
    """
    right = tested.accuracy * tested.images + before.accuracy * before.images
    pooled = right / (tested.images + before.images)
    deviation = sqrt(pooled * (1 - pooled) * (1 / tested.images + 1 / before.images))
    if not deviation:
        return 1.0
    return NormalDist().cdf((tested.accuracy - before.accuracy) / deviation)

"""A model that may serve: verified, loaded, warm, and checked against the golden set.

    store --verify--> version --load, warm up--> engine --golden--> Model

Each arrow is a gate. What does not pass one never answers a request.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Literal

import orjson

from contract.card import ModelCard
from contract.errors import NewerVersion, StoreError
from contract.store import Store
from contract.version import Version
from preprocessing.preparation import Preparer, preparer_of
from service.engine.engine import Engine
from service.engine.info import Fallback, RequestedPrecision
from service.errors import CannotStart, Problem
from service.models.golden import check_golden
from service.models.store_reads import without_paths
from service.problem_types.versions import VERSION_FAILED_CHECK
from service.settings import Settings

Gate = Literal["verify", "load", "golden"]
FEW_LABELS = 20  # of which a prediction has every probability
COUNTED_LABELS = 100  # that have a series of their own in the metrics
OTHER_LABELS = "other"
LONGEST_LABEL = 64  # characters of a label in the metrics

log = logging.getLogger("service")


class GateFailed(CannotStart):
    """A version may not serve; the message states why, `gate` names the check."""

    def __init__(self, gate: Gate, reason: Exception) -> None:
        ours = isinstance(reason, StoreError | CannotStart | OSError)
        super().__init__(str(reason) if ours else f"{type(reason).__name__}: {reason}")
        self.gate = gate

    def problem(self, store: Store) -> Problem:
        """The response to a request for the version."""
        cause = without_paths(self, store)
        return Problem(VERSION_FAILED_CHECK, f"the check {self.gate!r} failed: {cause}")


@dataclass(frozen=True, eq=False)
class Model:
    version: Version
    engine: Engine
    seconds: float  # to load

    @cached_property  # looked up with each request
    def number(self) -> int:
        return self.version.number

    @property
    def card(self) -> ModelCard:
        return self.version.card

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (h, w) or (h, w, 3)."""
        return self.card.shape

    @cached_property
    def image_bytes(self) -> int:
        """Of one image, as the graph takes it."""
        return prod(self.shape)

    @cached_property
    def prepare(self) -> Preparer:
        """The same object as of every model with that preparation: see `preparer_of`."""
        return preparer_of(self.card.preparation, self.card.shape)

    @cached_property
    def threshold(self) -> float:
        """Below this confidence a prediction is uncertain, unless the request sets another one."""
        return self.card.threshold

    @cached_property
    def two_least(self) -> float:
        """Below this sum of its two highest probabilities, an uncertain image is not one digit."""
        return self.card.non_digits.threshold if self.card.non_digits else 0.0

    @cached_property
    def labels(self) -> list[tuple[str]]:
        """Of each class, as metrics take them: see `metric_labels`."""
        return [(label,) for label in metric_labels(self.card.labels)]

    @cached_property
    def has_many_labels(self) -> bool:
        """Whether a prediction names the likeliest only, and not every probability."""
        return len(self.card.labels) > FEW_LABELS

    @cached_property
    def openings(self) -> list[bytes]:
        """How the JSON of a prediction begins, for each class, up to the confidence."""
        digits = self.card.are_digits
        return [
            orjson.dumps(
                ({"digit": index} if digits else {})
                | {"label": label, "index": index, "confidence": 0}
            )[:-2]
            for index, label in enumerate(self.card.labels)
        ]

    def max_queue(self, settings: Settings) -> int:
        """How many images may wait: at least a full batch, however large an image is."""
        return self._most(settings.max_queue, settings.max_queue_bytes)

    def max_images(self, settings: Settings) -> int:
        """How many images a request may have: at least a full batch, and never more than wait."""
        most = min(settings.max_pictures, settings.max_queue)
        return self._most(most, settings.max_request_bytes)

    def _most(self, most: int, in_memory: int) -> int:
        """At most that many images, and as many as have that many bytes, or are a batch."""
        return min(most, max(in_memory // self.image_bytes, self.engine.max_batch))

    @cached_property
    def answer(self) -> bytes:
        """The JSON of an answer, with %b for the predictions."""
        return b'{"model":%b,"predictions":[%%b]}' % orjson.dumps(self.named).replace(b"%", b"%%")

    @cached_property
    def named(self) -> dict[str, Any]:
        """How answers name it; made once, for every answer holds it."""
        return {"name": self.card.name, "version": str(self.number)}


def metric_labels(labels: Sequence[str]) -> list[str]:
    """Of each class: beyond COUNTED_LABELS they count together, long ones are shortened, and the
    index distinguishes those that would become equal.
    """
    others = [OTHER_LABELS] * (len(labels) - COUNTED_LABELS)
    counted: list[str] = []
    for index, label in enumerate(labels[:COUNTED_LABELS]):
        short = label[:LONGEST_LABEL]
        if short in counted or short in others:
            mark = " (class)" if short == OTHER_LABELS else f" ({index})"
            short = short[: LONGEST_LABEL - len(mark)] + mark
        counted.append(short)
    return counted + others


# Holds while a verified version is loaded: watches it, or has it tried somewhere else first.
Guard = Callable[[Version, Settings], AbstractContextManager[None]]


def load(store: Store, number: int | None, settings: Settings, guard: Guard | None = None) -> Model:
    """The version with that number, the current one for None, once it has passed every gate."""
    began = time.perf_counter()
    version = verify(store, number) if number is not None else _verify_current(store)
    with guard(version, settings) if guard is not None else nullcontext():
        engine = prove(version, settings)
    return Model(version, engine, time.perf_counter() - began)


def prove(version: Version, settings: Settings) -> Engine:
    """An engine of the version in the precision of the settings."""
    if settings.precision == "auto":
        return proven(version, settings, "auto", or_else="fp32")
    return proven(version, settings, settings.precision)


def proven(
    version: Version,
    settings: Settings,
    precision: RequestedPrecision,
    or_else: RequestedPrecision | None = None,
) -> Engine:
    """An engine that passes the golden set in that precision, or in the other one.

    GateFailed if it does not load, or passes in neither. A card's proof of half precision was made
    on a CPU: what a GPU makes of it comes to light only here.
    """
    engine = _engine(version, settings, precision)
    try:
        check(version, engine)
    except GateFailed as failure:
        if or_else in (None, engine.info.precision):
            raise
        reason = Fallback("precision", str(failure))
    else:
        return engine
    engine = _engine(version, settings, or_else, reason)
    check(version, engine)
    return engine


def verify(store: Store, number: int | None) -> Version:
    """GateFailed unless the card is trusted and every file is the one on it."""
    with _gate("verify"):
        return store.open(number)


def _verify_current(store: Store) -> Version:
    """The current version. If a newer release has published that, the last one before it that this
    release reads: so an image can be rolled back without the store.
    """
    try:
        return verify(store, None)
    except GateFailed as failure:
        if not isinstance(failure.__cause__, NewerVersion):
            raise
        for number in store.earlier():
            with suppress(GateFailed):
                version = verify(store, number)
                log.error("%s; serving version %d, which was current before", failure, number)
                return version
        raise


def check(version: Version, engine: Engine) -> None:
    """GateFailed unless the golden images are answered as they were."""
    with _gate("golden"):
        check_golden(version, engine)


def _engine(
    version: Version, settings: Settings, precision: RequestedPrecision, *fallbacks: Fallback
) -> Engine:
    with _gate("load"):
        return Engine(
            version,
            provider=settings.provider,
            threads=settings.threads,
            precision=precision,
            max_batch=settings.max_batch,
            max_batch_seconds=settings.max_batch_seconds,
            cache_in=settings.tensorrt_cache,
            fallbacks=fallbacks,
        )


@contextmanager
def _gate(name: Gate) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a graph or a library does: this version may not serve
        raise GateFailed(name, error) from error

"""The folder of corrections, bounded: DIGITSERVE_FEEDBACK.

    request --rate of the client--> a thread, one at a time --number, bytes--> contract.corrections

The folder may be on a disk that is full or hangs, or be taken away: its routes then answer 503 or
507, and predictions go on. What is in it is counted anew every minute, when corrections that are
too old are deleted, and before one is added after COUNTED seconds: another service that writes to
the same folder may exceed the bounds by what it adds meanwhile.
"""

import asyncio
import errno
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from contract.corrections import (
    Correction,
    Corrections,
    ImplausibleAge,
    NoCorrection,
    NoDecision,
    hash_of,
)
from contract.errors import NotConfirmed
from preprocessing.encoding import png_of
from service.errors import Problem
from service.feedback.rates import ClientRates
from service.models.store_reads import StoreHangs, StoreReads
from service.problem_types.feedback import (
    FEEDBACK_DISK_FULL,
    FEEDBACK_FULL,
    FEEDBACK_OFF,
    FEEDBACK_UNAVAILABLE,
    LABEL_NEEDED,
    NO_SUCH_CORRECTION,
    TOO_MANY_CORRECTIONS,
)
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.tensors import Pixels

SETTING = "DIGITSERVE_FEEDBACK"
COUNTED = 10.0  # seconds for which a count of the files is used
EVERY = 60.0  # seconds between two deletions of what is too old
DAY = 86_400.0  # seconds
FULL = (errno.ENOSPC, errno.EDQUOT)
T = TypeVar("T")

log = logging.getLogger("service")


@dataclass(frozen=True)
class Usage:
    """What is in the folder, without what was rejected, which is bounded apart."""

    count: int  # corrections
    size: int  # bytes


class FeedbackFolder:
    """Used on the event loop, except for what runs on the thread, at the end.

    Every method but `maintain` raises Problem 404 if the setting names no folder.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._corrections = Corrections(settings.feedback) if settings.feedback else None
        self._reads = StoreReads(settings, "the folder of corrections", SETTING)
        self._rates = ClientRates(settings.feedback_rate)
        self._usage: Usage | None = None
        self._counted = -math.inf  # when, on time.monotonic
        self._failing = False
        self._implausible = False  # the age of most corrections
        for result in ("accepted", "waiting", "known", "not_needed", "refused"):
            metrics.corrections.labels(result)

    @property
    def is_on(self) -> bool:
        return self._corrections is not None

    def admit(self, client: bytes) -> None:
        """Problem 429 if that client sends more than it may."""
        self._folder()
        wait = self._rates.take(client, time.monotonic())
        if wait:
            self._metrics.corrections.labels("refused").inc()
            seconds = math.ceil(wait)
            raise Problem(
                TOO_MANY_CORRECTIONS,
                f"more than {self._settings.feedback_rate} corrections a minute "
                f"({SETTING}_RATE); try again in {seconds} s",
                headers={"retry-after": str(seconds)},
            )

    async def add(
        self, pixels: Pixels, label: str, *, suspicious: bool, needed: bool
    ) -> tuple[Correction | None, bool]:
        """Keep an image (h, w) or (h, w, 3) with its label; and whether it is new.

        One that is not `needed` is kept only if it disputes another label: else None is returned.
        """
        suspicious = suspicious or self._settings.feedback_review == "all"
        try:
            correction, is_new = await self.do(
                lambda folder: self._add(folder, pixels, label, suspicious, needed)
            )
        except Problem:
            self._metrics.corrections.labels("refused").inc()
            raise
        result = correction.state if correction else "not_needed"
        self._metrics.corrections.labels(result if is_new or not correction else "known").inc()
        return correction, is_new

    async def do(self, work: Callable[[Corrections], T]) -> T:
        """What `work` returns, called on a thread; Problem if the folder cannot be used."""
        folder = self._folder()
        try:
            result = await self._reads.read(lambda: work(folder))
        except (StoreHangs, NotConfirmed, OSError, NoCorrection, NoDecision) as error:
            raise self._problem(error) from error
        if self._failing:
            self._failing = False
            log.warning("the folder of corrections can be used again")
        return result

    async def change(self, work: Callable[[Corrections], T]) -> T:
        """`do`, of what adds, moves or deletes corrections."""
        self._counted = -math.inf
        return await self.do(work)

    async def maintain(self) -> None:
        """Delete what is too old, and count the rest, until it is cancelled."""
        while self.is_on:
            with suppress(Problem):  # logged
                await self.do(self._maintain)
            await asyncio.sleep(EVERY)

    def _folder(self) -> Corrections:
        if self._corrections is None:
            raise Problem(
                FEEDBACK_OFF,
                f"the service keeps no corrections: start it with {SETTING}=<folder>, which it may "
                "write to",
            )
        return self._corrections

    def _problem(self, error: Exception) -> Problem:
        match error:
            case NoCorrection():
                return Problem(NO_SUCH_CORRECTION, str(error))
            case NoDecision():
                return Problem(LABEL_NEEDED, str(error))
            case StoreHangs():
                wait = str(math.ceil(error.retry_after))
                return Problem(FEEDBACK_UNAVAILABLE, str(error), headers={"retry-after": wait})
        if not self._failing:
            self._failing = True
            log.error("the folder of corrections cannot be used: %s", error)
        if isinstance(error, OSError) and error.errno in FULL:
            return Problem(
                FEEDBACK_DISK_FULL, "the disk of the corrections is full; nothing was stored"
            )
        reason = error.strerror if isinstance(error, OSError) else "the disk confirms no writes"
        return Problem(
            FEEDBACK_UNAVAILABLE, f"the folder of corrections ({SETTING}) cannot be used: {reason}"
        )

    # ---- on the thread ---------------------------------------------------------------------------

    def _add(
        self, folder: Corrections, pixels: Pixels, label: str, suspicious: bool, needed: bool
    ) -> tuple[Correction | None, bool]:
        image = hash_of(pixels.tobytes())
        known = folder.of(image)
        for each in known:
            if each.label == label:
                return each, False
        if not needed and not known:
            return None, False
        png = png_of(pixels)
        usage = self._usage
        if usage is None or time.monotonic() > self._counted + COUNTED:
            usage = self._count(folder)
        self._check_room(usage, len(png))
        added = folder.add(image, label, png, suspicious=suspicious)
        self._usage = Usage(usage.count + 1, usage.size + len(png))
        return added, True

    def _check_room(self, usage: Usage, size: int) -> None:
        settings = self._settings
        if usage.count >= settings.feedback_max:
            raise Problem(
                FEEDBACK_FULL,
                f"there are {usage.count:,} corrections, as many as may be kept ({SETTING}_MAX)",
            )
        if usage.size + size > settings.feedback_bytes:
            raise Problem(
                FEEDBACK_FULL,
                f"the corrections take {usage.size:,} bytes of the {settings.feedback_bytes:,} "
                f"that they may ({SETTING}_BYTES)",
            )

    def _maintain(self, folder: Corrections) -> None:
        folder.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder.folder))
        self._delete_old(folder)
        settings = self._settings
        if removed := folder.prune_rejected(settings.feedback_max, settings.feedback_bytes):
            log.info("deleted the %d oldest rejected corrections, to limit their number", removed)
        self._count(folder)

    def _delete_old(self, folder: Corrections) -> None:
        days = self._settings.feedback_days
        try:
            removed = folder.prune(before=time.time() - days * DAY)
        except ImplausibleAge as error:
            if not self._implausible:
                log.warning("%s (%s_DAYS is %d)", error, SETTING, days)
            self._implausible = True
            return
        self._implausible = False
        if removed:
            log.info("deleted %d corrections older than %d days", removed, days)

    def _count(self, folder: Corrections) -> Usage:
        found = [*folder.all()]
        states = Counter(each.state for each in found)
        self._metrics.corrections_accepted.set(states["accepted"])
        self._metrics.corrections_waiting.set(states["waiting"])
        sizes = [each.size for each in found if each.state != "rejected"]
        self._usage, self._counted = Usage(len(sizes), sum(sizes)), time.monotonic()
        return self._usage

"""The model store's bucket, as seen by this worker: for the log, the metrics and /v1/status.

While the bucket cannot be reached, the version that serves goes on, and a restart serves the copy
of it.
"""

import logging
import time
from datetime import UTC, datetime
from typing import Literal, get_args

from contract.errors import AccessDenied, StoreError, Unreachable
from contract.mirror import MirroredStore
from service.telemetry.metrics.registry import Metrics

SyncResult = Literal["ok", "unreachable", "denied"]

log = logging.getLogger("service")


class BucketStatus:
    def __init__(self, store: MirroredStore, metrics: Metrics) -> None:
        self.error: str | None = None  # of the last read of `current`; None: it succeeded
        self._store, self._metrics = store, metrics
        self._last: float | None = None  # when one succeeded last, in seconds since 1970
        for result in get_args(SyncResult):
            metrics.store_sync.labels(result)
        metrics.before_scrape.append(self._show)
        store.when_read = self._read

    @property
    def last_sync(self) -> str | None:
        """When `current` was read last; None: not since the start."""
        if self._last is None:
            return None
        return datetime.fromtimestamp(self._last, UTC).isoformat(timespec="seconds")

    def serves(self, number: int, previous: int | None) -> None:
        """Have the copies of these versions kept. Called on the loader's thread."""
        try:
            self._store.keep_copies(number, previous)
        except (OSError, StoreError) as error:
            log.warning("version %d serves, but a restart needs the bucket: %s", number, error)

    def _read(self, error: Unreachable | None) -> None:
        """After each read of `current`, on any thread."""
        if error is None:
            self._last = time.time()
            if self.error is not None:
                log.info("%s answers again", self._store.place)
        elif self.error is None:
            log.error("cannot read the current version; what served last goes on: %s", error)
        self.error = None if error is None else str(error)
        self._metrics.store_sync.record((_result(error),))

    def _show(self) -> None:
        if self._last is not None:
            self._metrics.store_last_sync.set(self._last)


def _result(error: Unreachable | None) -> SyncResult:
    if error is None:
        return "ok"
    return "denied" if isinstance(error, AccessDenied) else "unreachable"

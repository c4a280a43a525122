"""One writer at a time: a lock that the kernel takes back when its holder dies, however it dies."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import StoreError
from contract.files import named

PATIENCE = 10.0  # seconds; what is done under the lock takes milliseconds


class Busy(StoreError):
    """Another program holds the lock and does not let go."""


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock on the file `path`, which is made if it is not there; Busy after `patience`."""
    with path.open("a") as file:
        end = time.monotonic() + patience
        while True:
            try:
                with named(path):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Busy(f"another program has held {path} for {patience:g} s") from None
                time.sleep(0.01)
        yield  # closing the file lets go

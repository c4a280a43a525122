"""A service with faults that a soak should find: python -m tests.loadtest.soak.faulty FAULT

leaks     leaks 40 descriptors, 40 threads and 8 MB per second
worsens   after some images, single ones are predicted as the next digit, and batches fail,
          including the golden set; after some more, the service is killed
"""

import os
import signal
import sys
import threading
import time

import numpy as np

from service.__main__ import main
from service.engine.engine import Engine
from service.tensors import Answers, Pixels

WELL = 1000  # images: those of the start and of the rehearsal of users
END = 1700  # images
MOST = 2000  # maximum of each leak: a soak of 20 s leaks about 900
_computed = Engine.__call__
_seen = 0  # images


def _leak() -> None:
    """At a fixed rate, independent of requests, so that the slope is the same on any machine."""
    kept: list[object] = []
    while len(kept) < MOST:
        kept.append((os.open(os.devnull, os.O_RDONLY), bytearray(b"x" * 200_000)))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        time.sleep(1 / 40)
    threading.Event().wait()


def _worsening(engine: Engine, pixels: Pixels) -> Answers:
    global _seen
    _seen += len(pixels)
    if _seen > END:
        os.kill(os.getpid(), signal.SIGKILL)
    if _seen > WELL:
        if len(pixels) > 1:
            raise RuntimeError("the faulty model is broken")
        return Answers(*(np.roll(rows, 1, axis=1) for rows in _computed(engine, pixels)))
    return _computed(engine, pixels)


if __name__ == "__main__":
    if sys.argv[1] == "leaks":
        threading.Thread(target=_leak, daemon=True).start()
    else:
        Engine.__call__ = _worsening  # type: ignore[method-assign, assignment]
    sys.exit(main([]))

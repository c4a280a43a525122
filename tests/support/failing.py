"""`python -m service` with a model that fails for an image of full ink, and is slow for one that is
nearly so.
"""

import sys
import time

from service.__main__ import main
from service.engine.engine import Engine
from service.tensors import Answers, Pixels

REASON = "the failing model rejects full ink"
NEARLY = 254
SLOWLY = 1.0  # seconds
_computed = Engine.__call__


def _failing(engine: Engine, pixels: Pixels) -> Answers:
    if (pixels == 255).all(axis=(1, 2)).any():
        raise RuntimeError(REASON)
    if (pixels == NEARLY).all(axis=(1, 2)).any():
        time.sleep(SLOWLY)
    return _computed(engine, pixels)


if __name__ == "__main__":
    Engine.__call__ = _failing  # type: ignore[method-assign, assignment]
    sys.exit(main())

"""The paths of Prometheus' programs: on PATH, or in Debian's package, which make has unpacked.

`make test-monitoring` runs the tests of this folder, and makes the programs available.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UNPACKED = ROOT / ".prometheus/usr/bin"


class NoPrometheus(Exception):
    """They are neither on PATH nor unpacked."""


def _found(name: str) -> Path:
    path = shutil.which(name) or shutil.which(UNPACKED / name)
    if path is None:
        raise NoPrometheus(f"{name} is neither on PATH nor in {UNPACKED}: make prometheus")
    return Path(path)


PROMETHEUS = _found("prometheus")
PROMTOOL = _found("promtool")

"""Where Prometheus' own programs are: on PATH, or in Debian's package, which make unpacked.

`make test-monitoring` runs the tests of this folder, and sees to it that the programs are there.
"""

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UNPACKED = ROOT / ".prometheus/usr/bin"


class NoPrometheus(Exception):
    """Neither on PATH nor unpacked."""


def _found(name: str) -> Path:
    path = shutil.which(name) or shutil.which(UNPACKED / name)
    if path is None:
        raise NoPrometheus(f"{name} is neither on PATH nor in {UNPACKED}: make prometheus")
    return Path(path)


PROMETHEUS = _found("prometheus")
PROMTOOL = _found("promtool")

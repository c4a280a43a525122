"""Stands in for NVIDIA's package of that name, where PYTHONPATH names this folder: one GPU.

What is wrong with it, PLAYED_GPU says: a file of words, read at each question, so that a test can
have it break while a service looks at it.

    driver      there is no driver
    lost        the GPU has fallen off the bus
    power       it does not know its power
    hangs       a question is never answered
"""

import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
MEMORY = 80 * 2**30  # bytes


class NVMLError(Exception):
    """The package has one for each of NVML's codes, all of this kind."""


def nvmlInit() -> None:  # noqa: N802
    _break_if("driver", "Driver Not Loaded")


def nvmlDeviceGetCount() -> int:  # noqa: N802
    while "hangs" in _wrong():
        time.sleep(0.05)
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    _break_if("lost", "GPU is lost")
    return index


def nvmlDeviceGetUtilizationRates(handle: int) -> SimpleNamespace:  # noqa: N802
    """Percent."""
    return SimpleNamespace(gpu=round(60 + 30 * _wave()), memory=round(20 + 10 * _wave()))


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:  # noqa: N802
    """Bytes."""
    used = 3 * 2**30 + round(2**29 * _wave())
    return SimpleNamespace(total=MEMORY, used=used, free=MEMORY - used)


def nvmlDeviceGetPowerUsage(handle: int) -> int:  # noqa: N802
    """Milliwatts."""
    _break_if("power", "Not Supported")
    return round(300_000 + 100_000 * _wave())


def nvmlDeviceGetTemperature(handle: int, sensor: int) -> int:  # noqa: N802
    """Degrees Celsius."""
    return round(55 + 5 * _wave())


def _wave() -> float:
    """From -1 to 1 and back, in half a minute."""
    return math.sin(time.time() * math.tau / 30)


def _wrong() -> list[str]:
    file = os.environ.get("PLAYED_GPU")
    return Path(file).read_text().split() if file and Path(file).exists() else []


def _break_if(word: str, says: str) -> None:
    if word in _wrong():
        raise NVMLError(says)

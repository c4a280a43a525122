"""A fake of NVIDIA's package, used if PYTHONPATH contains this folder: it has one GPU.

The variable FAKE_GPU_FAULTS names a file with the faults of the GPU. It is read at each call, so
that a test can cause a fault while a service reads the metrics.

    driver      there is no driver
    lost        the GPU has fallen off the bus
    power       power is not supported
    hangs       a call never returns
"""

import math
import os
import time
from pathlib import Path
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
MEMORY = 80 * 2**30  # bytes


class NVMLError(Exception):
    """The package has a subclass for each error code of NVML; this one stands for all."""


def nvmlInit() -> None:  # noqa: N802
    _fail_if("driver", "Driver Not Loaded")


def nvmlDeviceGetCount() -> int:  # noqa: N802
    while "hangs" in _faults():
        time.sleep(0.05)
    return 1


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    _fail_if("lost", "GPU is lost")
    return index


def nvmlDeviceGetUtilizationRates(handle: int) -> SimpleNamespace:  # noqa: N802
    """In percent."""
    return SimpleNamespace(gpu=round(60 + 30 * _wave()), memory=round(20 + 10 * _wave()))


def nvmlDeviceGetMemoryInfo(handle: int) -> SimpleNamespace:  # noqa: N802
    """In bytes."""
    used = 3 * 2**30 + round(2**29 * _wave())
    return SimpleNamespace(total=MEMORY, used=used, free=MEMORY - used)


def nvmlDeviceGetPowerUsage(handle: int) -> int:  # noqa: N802
    """In milliwatts."""
    _fail_if("power", "Not Supported")
    return round(300_000 + 100_000 * _wave())


def nvmlDeviceGetTemperature(handle: int, sensor: int) -> int:  # noqa: N802
    """In degrees Celsius."""
    return round(55 + 5 * _wave())


def _wave() -> float:
    """From -1 to 1 and back, in half a minute."""
    return math.sin(time.time() * math.tau / 30)


def _faults() -> list[str]:
    file = os.environ.get("FAKE_GPU_FAULTS")
    return Path(file).read_text().split() if file and Path(file).exists() else []


def _fail_if(fault: str, message: str) -> None:
    if fault in _faults():
        raise NVMLError(message)

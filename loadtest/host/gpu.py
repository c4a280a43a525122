"""How busy the GPU is and how much of its memory is used, as the service exports it.

The service reads NVML once a second, for `digitserve_gpu_*`; where it cannot, there are no such
metrics, and a sentence says so.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from loadtest.target.metrics import Exposition
from loadtest.target.monitor import Observation

MIB = 2**20
DRIVER = Path("/proc/driver/nvidia")
ABSENT = "the service exports no digitserve_gpu_* metrics"


@dataclass(frozen=True)
class GpuUse:
    busy: float | None  # fraction of the time in which a kernel ran; None: not exported
    memory_used: int | None  # bytes, at most, of every program
    memory_total: int | None  # bytes


def use_of(observations: Sequence[Observation]) -> GpuUse | None:
    """Of the GPU that the service uses, while it was observed; None if it exports nothing."""
    metrics = [each.metrics for each in observations if each.metrics]
    # NVML's utilization is an average of up to a second: the first ones are from before the load.
    busy = _values(metrics[len(metrics) // 4 :], "digitserve_gpu_utilization_ratio")
    used = _values(metrics, "digitserve_gpu_memory_used_bytes")
    total = _values(metrics, "digitserve_gpu_memory_total_bytes")
    if not (busy or used or total):
        return None
    return GpuUse(
        busy=fmean(busy) if busy else None,
        memory_used=int(max(used)) if used else None,
        memory_total=int(max(total)) if total else None,
    )


def description() -> str:
    """Model and driver of the machine's GPUs; nothing without a driver of NVIDIA's."""
    models = [
        line.partition(":")[2].strip()
        for file in sorted(DRIVER.glob("gpus/*/information"))
        for line in file.read_text().splitlines()
        if line.startswith("Model:")
    ]
    version = (DRIVER / "version").read_text().splitlines()[0] if models else ""
    return ", ".join([*models, version]) if models else ""


def _values(metrics: Sequence[Exposition], name: str) -> list[float]:
    # The service uses the first visible GPU; NVML counts all of them.
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
    return [value for each in metrics for key, value in each.by(name, "gpu").items() if key == gpu]

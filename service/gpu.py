"""How much of the GPU is used while something runs, as `nvidia-smi` sees it."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

FIELDS = ("name", "driver_version", "utilization.gpu", "memory.used", "memory.total")
MIB = 2**20
EVERY = 100  # milliseconds between two looks; the driver itself averages over about as long


@dataclass(frozen=True)
class Use:
    name: str
    driver: str
    busy: float | None  # fraction of the time that a kernel ran; None: this GPU does not tell
    memory_used: int  # bytes, the most there were, of every program
    memory_total: int  # bytes

    def __str__(self) -> str:
        busy = "does not tell how busy" if self.busy is None else f"{self.busy:.0%} busy"
        left = (self.memory_total - self.memory_used) / MIB
        return f"{self.name}: {busy}, {self.memory_used / MIB:,.0f} MiB used, {left:,.0f} MiB left"


def use_during(work: Callable[[], object]) -> Use | None:
    """Do the work and watch the first GPU meanwhile; None where there is no `nvidia-smi`."""
    command = shutil.which("nvidia-smi")
    if command is None:
        work()
        return None
    words = [f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    words += ["--id=0", f"--loop-ms={EVERY}"]
    watch = subprocess.Popen([command, *words], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        work()
    finally:
        watch.terminate()
        told, _ = watch.communicate()
    return _use(told)


def _use(told: str) -> Use | None:
    looks = [line.split(", ") for line in told.splitlines()]
    looks = [look for look in looks if len(look) == len(FIELDS)]  # the last line may be cut
    if not looks:
        return None
    name, driver, _, _, total = looks[0]
    busy = [int(look[2]) / 100 for look in looks if look[2].isdigit()]
    used = [int(look[3]) for look in looks if look[3].isdigit()]
    return Use(
        name=name,
        driver=driver,
        busy=fmean(busy) if busy else None,
        memory_used=max(used, default=0) * MIB,
        memory_total=int(total) * MIB if total.isdigit() else 0,
    )

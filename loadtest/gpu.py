"""The GPU while something runs, as `nvidia-smi` sees it: how busy, how much memory, what is left.

One `nvidia-smi` looks again and again and a thread reads what it says, so that looking costs the
measured programs no start of a process each time. Without it, or where it tells nothing, the work
is done all the same and a sentence says why there are no numbers.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

FIELDS = ("name", "driver_version", "utilization.gpu", "memory.used", "memory.total")
MIB = 2**20
EVERY = 100  # milliseconds between two looks
PATIENCE = 10.0  # seconds until the first one: a driver that sleeps wakes up slowly
ABSENT = "there is no nvidia-smi"


@dataclass(frozen=True)
class Use:
    name: str
    driver: str
    busy: float | None  # fraction of the time that a kernel ran; None: this GPU does not tell
    memory_used: int | None  # bytes, the most there were, of every program
    memory_total: int | None  # bytes

    @property
    def memory_left(self) -> int | None:
        if self.memory_used is None or self.memory_total is None:
            return None
        return self.memory_total - self.memory_used


@dataclass
class Watch:
    """What is said while the block runs; `use` and `missing` are for after it."""

    said: list[str] = field(default_factory=list)
    there: bool = True

    @property
    def use(self) -> Use | None:
        return use_of(self.said)

    @property
    def missing(self) -> str:
        """Why there are no numbers; nothing if there are."""
        if not self.there:
            return ABSENT
        if self.use:
            return ""
        return f"nvidia-smi tells nothing: {' '.join(self.said).strip() or 'no word'}"


@contextmanager
def watched() -> Iterator[Watch]:
    command = shutil.which("nvidia-smi")
    if command is None:
        yield Watch(there=False)
        return
    words = [f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    words += [f"--id={_first_visible()}", f"--loop-ms={EVERY}"]
    looking = subprocess.Popen(  # noqa: S603
        [command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert looking.stdout is not None
    watch, first = Watch(), threading.Event()

    def read(lines: Iterator[str]) -> None:
        for line in lines:
            watch.said.append(line.rstrip("\n"))
            first.set()
        first.set()  # it has ended without a word

    thread = threading.Thread(target=read, args=(looking.stdout,))
    thread.start()
    try:
        first.wait(PATIENCE)
        yield watch
    finally:
        looking.terminate()
        looking.wait()
        thread.join()
        looking.stdout.close()


def use_of(said: list[str]) -> Use | None:
    looks = [line.split(", ") for line in said]
    looks = [look for look in looks if len(look) == len(FIELDS)]  # the last line may be cut
    if not looks:
        return None
    name, driver, *_ = looks[0]
    # The driver averages over up to a second: the first looks still see the time before.
    busy = [int(look[2]) / 100 for look in looks[len(looks) // 4 :] if look[2].isdigit()]
    used = [int(look[3]) * MIB for look in looks if look[3].isdigit()]
    total = [int(look[4]) * MIB for look in looks if look[4].isdigit()]
    return Use(
        name=name,
        driver=driver,
        busy=fmean(busy) if busy else None,
        memory_used=max(used, default=None),
        memory_total=max(total, default=None),
    )


def _first_visible() -> str:
    """The GPU that the service takes, as CUDA and nvidia-smi both name it."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"

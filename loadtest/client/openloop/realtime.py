"""What keeps a process from being late: timer slack, garbage collection, open files."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtest.errors import CannotMeasure

SLACK = Path("/proc/self/timerslack_ns")  # how late the kernel may wake this process; usually 50 us
OTHER_FILES = 64  # descriptors of a process beside its connections


@contextmanager
def real_time() -> Iterator[None]:
    """No garbage collection, and timers that the kernel keeps to the microsecond, meanwhile."""
    before = ""
    with suppress(OSError):
        before = SLACK.read_text()
        SLACK.write_text("1000")
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        with suppress(OSError):
            SLACK.write_text(before)


def allow_connections(count: int) -> None:
    """To this process, and to those that it starts; CannotMeasure if the machine does not."""
    needed = count + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotMeasure(
            f"{count} connections need {needed} open files, and this process may have {hard}: "
            "fewer --connections, or a higher `ulimit -n`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

"""CPU time and memory of a process are those of its children too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loadtest import process

BURN = "import time\nwhile time.process_time() < {}: pass\n"
WAIT = "print('done', flush=True); input()"


@contextmanager
def child(code: str) -> Iterator[int]:
    """A process that has run `code` and waits to be ended."""
    running = subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{WAIT}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "done\n"
    try:
        yield running.pid
    finally:
        running.communicate("\n")


def test_cpu_time_of_a_process_is_what_it_used() -> None:
    with child(BURN.format(0.3)) as pid:
        used = process.cpu_seconds(pid)
    assert used >= 0.28  # it is counted in ticks of 10 ms


def test_cpu_time_of_children_counts_alive_or_ended() -> None:
    grandchild = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}.format(0.3)])"
    )
    with child(grandchild) as pid:
        ended = process.cpu_seconds(pid)
    with child(BURN.format(0.3)):
        alive = process.cpu_seconds(os.getpid())
    assert ended >= 0.28
    assert alive >= 0.28


def test_memory_is_that_of_all_processes_and_of_the_largest() -> None:
    with child("held = bytes(range(256)) * (200 << 10)") as pid:  # 50 MB
        own = process.memory(pid)
        everybody = process.memory(os.getpid())
        resident = process.resident(pid)
    assert own.processes == 1
    assert own.resident == own.largest > 50 << 20
    assert 50 << 20 < own.proportional <= own.resident
    assert everybody.processes >= 2
    assert everybody.resident >= own.resident + everybody.largest - max(own.largest, 1)
    assert abs(resident - own.resident) < 4 << 20


def test_a_process_that_has_ended_uses_nothing() -> None:
    with child("") as pid:
        pass
    assert list(process.tree(pid)) == []
    assert process.cpu_seconds(pid) == 0
    assert process.memory(pid) == process.Memory(0, 0, 0, 0)


def test_a_core_is_busy_for_longer_and_longer() -> None:
    core = min(os.sched_getaffinity(0))
    assert process.busy_seconds(core) > 0
    assert process.busy_seconds(10**6) == 0

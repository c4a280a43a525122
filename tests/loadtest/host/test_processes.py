"""CPU time and memory of a process include those of its children."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadtest.host import processes
from tests.support.waiting import until

BURN = "import time\nwhile time.process_time() < 0.2: pass\n"
WAIT = "print('done', flush=True); input()"


@contextmanager
def child(code: str) -> Iterator[int]:
    """A process that has run `code` and waits to be stopped."""
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


def test_cpu_time_includes_running_and_ended_children() -> None:
    grandchild = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])"
    with child(grandchild) as pid:
        ended = processes.CpuTime(pid).seconds()
    with child(BURN):
        alive = processes.CpuTime(os.getpid()).seconds()
    assert min(ended, alive) >= 0.18  # its resolution is a tick of 10 ms


def test_cpu_time_is_kept_when_the_process_ends() -> None:
    with child(BURN) as pid:
        cpu = processes.CpuTime(pid)
        before = cpu.seconds()
    assert processes.tree(pid) == []
    assert cpu.seconds() == before >= 0.18


@pytest.mark.parametrize("waits", [True, False])
def test_cpu_time_of_an_ended_child_counts_once(waits: bool) -> None:
    """The kernel adds it to that of the parent, unless the parent ignores SIGCHLD."""
    burner = f"burner = subprocess.Popen([sys.executable, '-c', {BURN + WAIT!r}])"
    ignore = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    then = "import threading\nthreading.Thread(target=burner.wait).start()" if waits else ""
    with child("\n".join(["import subprocess, sys", "" if waits else ignore, burner, then])) as pid:
        cpu = processes.CpuTime(pid)
        until(lambda: cpu.seconds() >= 0.18)
        before = cpu.seconds()
        os.kill(processes.tree(pid)[1].pid, signal.SIGKILL)
        until(lambda: len(processes.tree(pid)) == 1)
        assert before <= cpu.seconds() < before + 0.15
        assert (processes.CpuTime(pid).seconds() >= 0.18) is waits


def test_memory_is_reported_as_a_sum_and_for_the_largest_process() -> None:
    with child("held = bytes(range(256)) * (200 << 10)") as pid:  # 50 MB
        own = processes.memory(pid)
        all_of_them = processes.memory(os.getpid())
        resident = processes.resident(pid)
    assert own.processes == 1
    assert own.resident == own.largest > 50 << 20
    assert 50 << 20 < own.proportional <= own.resident
    assert all_of_them.processes >= 2
    assert all_of_them.resident >= own.resident + all_of_them.largest - max(own.largest, 1)
    assert abs(resident - own.resident) < 4 << 20


def test_an_ended_process_uses_nothing() -> None:
    with child("") as pid:
        pass
    assert processes.tree(pid) == []
    assert processes.CpuTime(pid).seconds() == 0
    assert processes.memory(pid) == processes.Memory(0, 0, 0, 0)


def test_an_unknown_core_is_never_busy() -> None:
    assert processes.busy_seconds(min(os.sched_getaffinity(0))) > 0
    assert processes.busy_seconds(10**6) == 0

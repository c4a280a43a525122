"""Training and export as processes, started by a retraining worker or by a sweep, the worker here.

    runs/<job>/lock            held by the worker and by the program that it has started, whose
                               process and host it names
               log.txt         what the program prints
               progress.jsonl  what training records
               .copied         how much of both the worker has reported

A program that fails does not take the worker down with it. It has a process group of its own and,
in retraining, the lowest priority. If the worker is killed, its program goes on and keeps the lock:
the next worker stops it, which saves the training's state, and then resumes it, unless it has ended
by itself. Two programs never write to one run.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK, LOG, PROGRESS, COPIED = "lock", "log.txt", "progress.jsonl", ".copied"
PAUSE = 0.2  # seconds between two looks at a program
PATIENCE = 60.0  # seconds in which a stopped training saves its state
LONGEST = 500  # characters of a line that are reported
MOST_LINES = 2000  # of a log that are reported; all are in log.txt

# Other programs on the same cores come first. Where Linux schedules sessions as groups (autogroup),
# `nice` counts within the session only: the group has a priority of its own.
NICE = (
    "sh", "-c", '{ echo 19 > /proc/self/autogroup; } 2> /dev/null; exec nice -n 19 "$@"', "sh"
)  # fmt: skip
# Writes its process and its host, $0, into the lock and becomes the program: the next worker finds
# it, even if the one that starts it is killed meanwhile.
START = ("sh", "-c", 'lock=$1 && shift && printf "%s %s" "$$" "$0" > "$lock" && exec "$@"')


class Interrupted(Exception):
    """The program was stopped because the job was cancelled or the worker stops."""


class StillRunning(Exception):
    """The program of an earlier worker does not end."""


def run(
    command: Callable[[], Sequence[str] | None],
    folder: Path,
    environment: Mapping[str, str],
    *,
    stop_requested: Callable[[], bool],
    report: Callable[[str, str], None],
    priority: Sequence[str] = NICE,
) -> int:
    """Run `python -m <command>` and return its exit code; `report` gets (file name, line).

    `command` is called when the program of an earlier worker has ended, and returns None if it left
    nothing to do: then the rest of its lines is reported, and the code is 0. Raises Interrupted
    after a requested stop, StillRunning, or OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / LOCK) as lock, (folder / LOG).open("ab") as log:
        tail = _Tail(folder, report)
        words = command()
        if words is None:
            tail.copy()
            return 0
        start = [*START, socket.gethostname(), str(folder / LOCK), *priority]
        process = subprocess.Popen(  # noqa: S603 (the words are flags of our own programs)
            [*start, sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
        try:
            while (code := process.poll()) is None:
                tail.copy()
                if stop_requested():
                    raise Interrupted
                time.sleep(PAUSE)
            return code
        finally:
            _stop(process)
            lock.truncate(0)
            with contextlib.suppress(Exception):  # what is raised already matters more
                tail.copy()


def leave_one_core(pid: int = 0) -> None:
    """Keep a process, and those that it will start, off one of its cores, if it has several.

    For a service on the same machine: the lowest priority alone does not protect its latency.
    """
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        _, *others = sorted(os.sched_getaffinity(pid))
        os.sched_setaffinity(pid, others or os.sched_getaffinity(pid))


def last_line(folder: Path, beginning: str) -> str | None:
    """The last line of the log that begins like this, without the beginning."""
    try:
        lines = (folder / LOG).read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next(
        (line[len(beginning) :] for line in lines[::-1] if line.startswith(beginning)), None
    )


def reason(folder: Path, program: str, code: int) -> str:
    """What the program printed last about its end."""
    printed = last_line(folder, f"{program}: ")
    if printed and code > 0:
        return f"{program}: {printed}"
    if code < 0:
        return f"{program} was ended by signal {-code}; it may have needed more memory"
    return f"{program} ended with code {code}: {folder / LOG} has its output"


class _Tail:
    """Reports the lines that are appended to files, each once, also after a restart."""

    def __init__(self, folder: Path, report: Callable[[str, str], None]) -> None:
        self._folder, self._report = folder, report
        try:
            self._copied: dict[str, int] = json.loads((folder / COPIED).read_text())
        except (OSError, ValueError):
            self._copied = {}

    def copy(self) -> None:
        before = dict(self._copied)
        for name in (LOG, PROGRESS):
            try:
                with (self._folder / name).open("rb") as file:
                    file.seek(self._copied.get(name, 0))
                    for line in file:
                        if not line.endswith(b"\n"):
                            break  # it is still being written
                        self._copied[name] = self._copied.get(name, 0) + len(line)
                        self._pass_on(name, line.decode(errors="replace").rstrip())
            except FileNotFoundError:
                continue
        if self._copied != before:
            (self._folder / COPIED).write_text(json.dumps(self._copied))

    def _pass_on(self, name: str, line: str) -> None:
        if name == LOG:
            number = self._copied["lines"] = self._copied.get("lines", 0) + 1
            if number > MOST_LINES or not line:
                return
            line = line[:LONGEST]
            if number == MOST_LINES:
                line = f"further lines are in {self._folder / LOG}"
        self._report(name, line)


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Hold the lock of a run; the program of an earlier worker is stopped first."""
    with path.open("a+") as lock:
        end = time.monotonic() + PATIENCE
        signalled = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StillRunning(
                        f"a program of an earlier worker still holds {path}: end it"
                    ) from None
            if not signalled and (pid := _holder(lock)):
                signalled = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGINT)
            time.sleep(PAUSE)
        lock.truncate(0)
        yield lock


def _holder(lock: IO[str]) -> int | None:
    """The process group of the program that holds the lock, if it runs on this machine."""
    lock.seek(0)
    pid, _, host = lock.read().partition(" ")
    return int(pid) if pid.isdecimal() and host == socket.gethostname() else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that runs: a training saves its state first."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)

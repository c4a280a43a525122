"""A version is loaded, warmed up and proven by its golden set in a child process first.

    thread that loads --Request, on stdin--> python -m service.models.preflight_process
                      <--Verdict, on stdout--    watched: time, memory; killed when over

A graph can loop for ever, or allocate all of the memory; in the process that serves nothing could
end that. What passed here is then loaded by it in the same way, from files with the same hashes.

One child at a time: several workers that take up the same version would each need that memory.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from contract.version import Version
from service.batching.interface import Closed
from service.errors import CannotStart
from service.models.load_limits import POLL, LoadLimits, seconds_of
from service.models.loading import Gate, GateFailed
from service.settings import Settings

OF_SETTINGS = {
    "provider", "precision", "threads", "max_batch", "max_batch_seconds", "tensorrt_cache",
}  # fmt: skip
PROGRAM = Path(__file__).with_name("preflight_process.py")
LAST_WAIT = 5.0  # seconds for the end of a child that was killed

log = logging.getLogger("service")


class Request(BaseModel):
    """The version to try, as its card was verified, and the settings and limits that hold."""

    number: int
    folder: Path
    card: str
    settings: dict[str, object]
    seconds: float
    memory: int  # bytes
    parent: int  # process id


class Verdict(BaseModel):
    gate: Gate | None = None  # that the version did not pass
    reason: str = ""


class Preflight:
    """The guard of a load in a service that serves: see `models.loading.load`."""

    def __init__(self) -> None:
        self._closed = False

    @contextmanager
    def __call__(self, version: Version, settings: Settings) -> Iterator[None]:
        """GateFailed unless the version passes in a child process, within the limits."""
        deadline = time.monotonic() + seconds_of(settings)
        with PROGRAM.open("rb") as lock:
            while not _locked(lock.fileno()) and time.monotonic() < deadline:
                self._check_closed()
                time.sleep(POLL)
            self._try(version, settings)
        yield

    def close(self) -> None:
        """End a trial under way with `Closed`, and any later one. Safe in a signal handler."""
        self._closed = True

    def _try(self, version: Version, settings: Settings) -> None:
        limits = LoadLimits.of(version, settings, settings.memory_reserve)
        request = Request(
            number=version.number,
            folder=version.folder.absolute(),
            card=version.card.to_json(),
            settings=settings.model_dump(mode="json", include=OF_SETTINGS),
            seconds=limits.seconds,
            memory=limits.memory,
            parent=os.getpid(),
        )
        child = subprocess.Popen(
            [sys.executable, "-m", "service.models.preflight_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C in a terminal is for the service
        )
        try:
            answer = self._watched(child, request.model_dump_json().encode(), limits)
        finally:
            _end(child)
        verdict = _verdict(child.returncode, answer, limits)
        if verdict.gate is not None:
            raise GateFailed(verdict.gate, CannotStart(verdict.reason))

    def _watched(self, child: subprocess.Popen[bytes], request: bytes, limits: LoadLimits) -> bytes:
        """What the child answers; GateFailed if it takes too much first."""
        began = time.monotonic()
        given: bytes | None = request
        while True:
            try:
                answer, _ = child.communicate(given, timeout=POLL)
                return answer
            except subprocess.TimeoutExpired:
                given = None  # it goes on with what it has
                self._check_closed()
                if exceeded := limits.exceeded(child.pid, began):
                    raise GateFailed("load", CannotStart(exceeded)) from None

    def _check_closed(self) -> None:
        if self._closed:
            raise Closed


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    with suppress(subprocess.TimeoutExpired):  # in the kernel, on a dead disk or driver
        child.wait(LAST_WAIT)
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):
            assert pipe is not None
            pipe.close()


def _verdict(code: int, answer: bytes, limits: LoadLimits) -> Verdict:
    """Of a child that has ended by itself, or was ended by the kernel."""
    if code == 0:
        return Verdict.model_validate_json(answer)
    if code == -signal.SIGALRM:
        return Verdict(gate="load", reason=limits.too_slow)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    hint = ""
    if code == -signal.SIGKILL:
        hint = ", as when memory runs out: a lower DIGITSERVE_LOAD_MEMORY ends it before that"
    return Verdict(gate="load", reason=f"it ended the process that tried it ({how}{hint})")


def _locked(descriptor: int) -> bool:
    """Whether this process is the one that may start a child now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks: they start together
        log.debug("no turns are taken to load a version: %s", error)
    return True

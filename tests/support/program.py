"""A program that runs beside a test: started, awaited until it is ready, stopped with the block."""

import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.support.forks import Forked

PATIENCE = 60.0  # seconds; a start takes one, but machines may be busy


def interruptible(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a program that receives SIGINT, wherever the tests run.

    A shell makes its background jobs ignore SIGINT, and children inherit ignored signals: Python
    then installs no handler of its own. A signal that is handled in this process has its default
    action in the child.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, text=True, **options)
    finally:
        signal.signal(signal.SIGINT, before)


class Program(ABC):
    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdout: int | None = None,
        stderr: int = subprocess.PIPE,
    ) -> None:
        """Its output is read from the stream that is a pipe, stderr before stdout."""
        self._lines: list[str] = []
        self._settled = threading.Event()  # ready, or ended
        self.url = ""
        self.process = self.start(command, folder, environment, stdout, stderr)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(
        self,
        command: Sequence[str],
        folder: Path | None,
        environment: Mapping[str, str] | None,
        stdout: int | None,
        stderr: int,
    ) -> subprocess.Popen[str] | Forked:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stdout, stderr=stderr, text=True
        )

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @abstractmethod
    def hear(self, line: str) -> bool:
        """Whether it is ready with this line, which may contain its `url`."""

    @contextmanager
    def while_ready(self) -> Iterator[Self]:
        """Waits until it is ready; stops it with the block."""
        try:
            self.wait_until_ready()
            yield self
        finally:
            self.process.kill()
            self.exit_code()

    def wait_until_ready(self) -> None:
        """Waits for a line that `hear` accepts; a program without such a line overrides this."""
        assert self._settled.wait(PATIENCE), self.log
        assert self.url, self.log

    def exit_code(self) -> int:
        """Waits until the program ends."""
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    def _read(self) -> None:
        read = self.process.stderr or self.process.stdout
        assert read is not None
        with read as lines:
            for line in lines:
                self._lines.append(line)
                if self.hear(line):
                    self._settled.set()
        self._settled.set()

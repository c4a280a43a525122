"""The service under test: its processes as seen by the system, and a log that may remain unread."""

import os
import threading
from pathlib import Path

from tests.support.running import Service
from tools.chaos.history import Resources

PAGE = os.sysconf("SC_PAGE_SIZE")


class Subject(Service):
    _reads: threading.Event

    def __init__(self, models: Path, **settings: object) -> None:
        self._reads = threading.Event()
        self._reads.set()
        super().__init__(models, **settings)

    def hear(self, line: str) -> bool:
        """Called in the reading thread, which blocks here while reading is stopped."""
        self._reads.wait()
        return super().hear(line)

    def stop_reading(self) -> None:
        self._reads.clear()

    def resume_reading(self) -> None:
        self._reads.set()

    @property
    def workers(self) -> dict[int, int]:
        """Number of a worker -> its process, for those that are alive."""
        found = {}
        for pid in _children(self.process.pid):
            words = _words(pid)
            if "service.worker" in words:
                found[int(words[words.index("service.worker") + 1])] = pid
        return found

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def resources(self) -> dict[str, Resources]:
        """Of the supervisor, and the maximum over the workers; empty if none is alive."""
        workers = [resources_of(pid) for pid in self.workers.values()]
        if not workers:
            return {}
        most = Resources(
            max(each.resident for each in workers),
            max(each.descriptors for each in workers),
            max(each.threads for each in workers),
        )
        return {"supervisor": resources_of(self.process.pid), "worker": most}


def resources_of(pid: int) -> Resources:
    folder = Path("/proc") / str(pid)
    return Resources(
        int((folder / "statm").read_text().split()[1]) * PAGE,
        len([*(folder / "fd").iterdir()]),
        len([*(folder / "task").iterdir()]),
    )


def running(pid: int) -> bool:
    """Neither ended nor a zombie."""
    try:
        return "State:\tZ" not in (Path("/proc") / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(pid: int) -> list[int]:
    try:
        threads = [*(Path("/proc") / str(pid) / "task").iterdir()]
        texts = [(thread / "children").read_text() for thread in threads]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [child for text in texts for child in map(int, text.split()) if running(child)]


def _words(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []

"""Locust as a process of its own: started, and ended with the block, with all its children."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.errors import CannotMeasure
from loadtest.server import free_port
from loadtest.trial.options import Options

ROOT = Path(__file__).parent.parent.parent
FILES = ("loadtest/locustfile.py", "loadtest/trial/recorder.py")
SECONDS, LOG, PAGE = "seconds", "locust.log", "locust.html"
GRACE = 15.0  # seconds to end its users and write its page
ERROR = "/ERROR/"  # in a line of its log
WORKERS = 60  # seconds until its processes have found one another


@contextmanager
def asking(
    options: Options, url: str, folder: Path, processes: int
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / LOG).open("wb") as log:
        locust = subprocess.Popen(  # noqa: S603
            _command(options, url, folder, processes),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, who hand it on
        )
        try:
            yield locust
        finally:
            _end(locust)


def check(locust: subprocess.Popen[bytes], folder: Path) -> None:
    """CannotMeasure, with its last words, if it did not end as it should."""
    if locust.returncode:
        said = (folder / LOG).read_text(errors="replace").strip().splitlines()
        # Its statistics come after what went wrong.
        wrong = [line for line in said if ERROR in line] or said
        raise CannotMeasure(
            f"locust ended with {locust.returncode}: {' '.join(wrong[-1:])} ({folder / LOG})"
        )


def _command(options: Options, url: str, folder: Path, processes: int) -> list[str]:
    csv = folder.resolve() / "locust"
    words = [sys.executable, "-m", "locust", "--locustfile", ",".join(FILES), "--headless"]
    words += [f"--host={url}", f"--csv={csv}", "--csv-full-history"]
    words += [f"--html={folder.resolve() / PAGE}", f"--record={folder.resolve() / SECONDS}"]
    # Whether what failed is too much is for the SLO to say.
    words += ["--only-summary", "--exit-code-on-error=0", *options.words]
    if processes > 1:
        port = free_port()
        words += [f"--processes={processes}", f"--master-bind-port={port}", f"--master-port={port}"]
        words += [f"--expect-workers-max-wait={WORKERS}"]
    return [*words, *options.more]


def _end(locust: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, upon which it writes its page, and force for who does not hear it."""
    with contextlib.suppress(ProcessLookupError):
        try:
            if locust.poll() is None:
                locust.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    locust.wait(GRACE)
        finally:  # Ctrl-C once more
            os.killpg(locust.pid, signal.SIGKILL)
    locust.wait()

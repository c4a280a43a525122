"""Where a file came from: commit, libraries and processor of the program that wrote it."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git_commit() -> str | None:
    """The checkout's commit, with "+changes" when files differ from it.

    In an image the one it was built from, which stands in REVISION; None where neither is there.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return _built_from()


def library_versions(*names: str) -> dict[str, str]:
    """Version of Python and of each named distribution, such as {"torch": "2.13.0"}."""
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def processor() -> str:
    """The processor's name, such as "AMD EPYC 9R14", with the number of cores of the machine."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        facts = ""
    found = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    name = found.group(1) if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _built_from() -> str | None:
    try:
        return (ROOT / "REVISION").read_text().strip() or None
    except FileNotFoundError:
        return None


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 (fixed words)
    return done.stdout.strip()

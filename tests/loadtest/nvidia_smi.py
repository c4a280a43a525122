"""A program called nvidia-smi, first on the PATH, that says what it is told to."""

import os
from pathlib import Path

import pytest


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """It says these lines and then waits to be ended, as one that looks again and again does."""
    said = "\n".join(f'echo "{line}"' for line in lines)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{said}\ntouch {folder}/said\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

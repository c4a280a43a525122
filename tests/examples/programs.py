"""How the examples are started: with the programs that their first lines name."""

import subprocess
from pathlib import Path

import pytest

from tests.interop.programs import required
from tests.support.running import ROOT

EXAMPLES = ROOT / "examples"
ENVIRONMENT = ROOT / ".examples"  # of examples/clients/requirements.txt


def client_python() -> Path:
    """The Python of the clients; a test that needs it is skipped where it is not installed."""
    python = ENVIRONMENT / "bin/python"
    if not python.exists():
        pytest.skip(f"no {python}: make test-examples installs it")
    return python


def command_of(example: str) -> list[str]:
    """What runs an example, given as its path in examples/."""
    path = EXAMPLES / example
    if path.suffix == ".py":
        return [str(client_python()), str(path)]
    if path.suffix == ".sh":
        required("curl")
    program = required({".sh": "bash", ".mjs": "node", ".java": "java"}[path.suffix])
    return [str(program), str(path)]


def run(*command: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit status."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def output_of(*command: object, folder: Path | None = None) -> str:
    """The output of a command that succeeds."""
    done = run(*command, folder=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout

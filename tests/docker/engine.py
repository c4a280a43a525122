"""The Docker engine, used through its command line."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0  # seconds; most waits take a few, but machines may be busy
# As in docker-compose.yml, for containers that tests start directly.
HARDENED = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges",
)  # fmt: skip


class CommandFailed(AssertionError):
    """A command exited with another code than 0; the message has its output."""


def run(*words: str, env: dict[str, str] | None = None, errors: bool = False) -> str:
    """The stdout of a command; with `errors`, its stderr too."""
    done = tried(*words, env=env)
    if done.returncode:
        raise CommandFailed(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr if errors else done.stdout


def tried(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)


def docker(*words: str) -> str:
    return run("docker", *words).strip()


def inspect(name: str) -> Any:
    """All properties of a container or an image."""
    return json.loads(docker("inspect", name))[0]


def python(image: str, program: str, *words: str) -> str:
    """The output of a short Python program in a container of the image."""
    return docker("run", "--rm", *HARDENED, "--entrypoint=python", image, "-c", program, *words)


def wait_until(
    condition: Callable[[], object], why: Callable[[], object], patience: float = PATIENCE
) -> float:
    """Seconds until the condition was true; on a timeout, the error shows `why()`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience, why()
        time.sleep(0.05)
    return time.monotonic() - began

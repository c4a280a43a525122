"""A service that a notebook starts on a free port, and stops."""

import atexit
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Serving:
    """`python -m service` with the current version of a model; `url` is its address.

    RuntimeError with the service's own message if it does not start. It ends with the notebook's
    kernel, or earlier with `stop`.
    """

    def __init__(self, models: Path, model: str) -> None:
        settings = {
            "DIGITSERVE_MODELS": str(models.resolve()),
            "DIGITSERVE_MODEL": model,
            "DIGITSERVE_PORT": "0",  # any free one
            "DIGITSERVE_DRAIN_SECONDS": "0",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service"],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        atexit.register(self.stop)
        self.url = self._address()

    def _address(self) -> str:
        """The address in the line that the service logs when it is ready."""
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if found := re.search(r"ready on (http://[^\s,]+)", line):
                return found.group(1)
        raise RuntimeError("the service did not start: " + "".join(lines[-5:]))

    def stop(self) -> None:
        """Stop it after the requests that it has accepted; nothing if it has ended."""
        self._process.terminate()
        self._process.wait()

"""A virtual environment for each peer: what it needs may not suit the service.

Made when it is first asked for, and anew when its requirements have changed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from loadtest.errors import CannotMeasure

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parent / "constraints.txt"


def ensure(venvs: Path, peer: str) -> None:
    """CannotMeasure if it cannot be installed, with what pip said."""
    wanted = HERE / "peers" / f"{peer}.txt"
    folder, stamp = venvs / peer, venvs / peer / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == wanted.read_bytes():
        return
    print(f"installing {peer} into {folder}", flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    pip = (str(folder / "bin/python"), "-m", "pip", "install", "--quiet")
    _run(*pip, "--constraint", str(CONSTRAINTS), "--requirement", str(wanted))
    shutil.copyfile(wanted, stamp)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise CannotMeasure(f"{' '.join(words)}:\n{done.stderr.strip()[-2000:]}")

"""A virtual environment for each peer: what it needs may not suit the service.

Made when it is first needed, and anew when its requirements or the constraints have changed.
constraints.txt pins what is installed there as it does for the service, but for what a peer's own
file pins: no peer then keeps the service from a newer release of something, nor the other way
round.
"""

import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from loadtest.host.processes import ROOT, run

HERE = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"


def ensure(venvs: Path, peer: str) -> None:
    """CannotMeasure with pip's error if it cannot be installed."""
    wanted = HERE / "peers" / f"{peer}.txt"
    folder, stamp = venvs / peer, venvs / peer / "requirements.txt"
    constraints, beside = folder / "constraints.txt", constraints_beside(wanted.read_text())
    written = {stamp: wanted.read_text(), constraints: beside}
    if all(path.exists() and path.read_text() == text for path, text in written.items()):
        return
    print(f"installing {peer} into {folder}", flush=True)
    run(sys.executable, "-m", "venv", "--clear", str(folder))
    constraints.write_text(beside)
    pip = (str(folder / "bin/python"), "-m", "pip", "install", "--quiet")
    run(*pip, "--constraint", str(constraints), "--requirement", str(wanted))
    shutil.copyfile(wanted, stamp)


def constraints_beside(requirements: str) -> str:
    """constraints.txt, without what the requirements pin themselves."""
    pinned = {_pinned(line) for line in requirements.splitlines()} - {""}
    lines = CONSTRAINTS.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if _pinned(line) not in pinned)


def version_of(venvs: Path, peer: str) -> str:
    """The installed version of the framework."""
    folders = [str(each) for each in (venvs / peer).glob("lib/python*/site-packages")]
    return next((each.version for each in distributions(name=peer, path=folders)), "of no version")


def _pinned(line: str) -> str:
    """The package that a line pins; nothing if it pins none."""
    name, pins, _ = line.partition("==")
    return name if pins and not name.startswith("#") else ""

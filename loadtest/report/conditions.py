"""The folder of a report, and the conditions under which its numbers were measured."""

import time
from pathlib import Path

from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions


def new_folder(results: Path, name: str) -> Path:
    """A new folder, its name a format of the time now; CannotMeasure if it cannot be made."""
    folder = results / time.strftime(name, time.gmtime())
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CannotMeasure(f"no folder for results: {error}; name another: --results") from error
    return folder


def conditions(found: Conditions, more: dict[str, str], *, ours: str) -> str:
    """A list in Markdown. `ours`: the settings that the program chose, unless one was handed on."""
    packages = ", ".join(f"{name} {version}" for name, version in found.packages.items())
    settings = ", ".join(f"{name}={value}" for name, value in found.settings.items())
    lines = {
        "when": f"{found.date} UTC, commit {found.commit}",
        "command": f"`{found.command}`",
        "processor": f"{found.processor}, {found.cores} cores; governor: {found.governor}; "
        f"load before: {found.load:.2f}",
        "pinned": found.pinned,
        "client": found.client,
        "software": f"Linux {found.kernel}, Python {found.python}, {packages}",
        "model": found.model,
        "settings handed on": settings or f"none; {ours} is the bench's",
    } | more
    return "\n".join(f"* {name}: {value}" for name, value in lines.items())

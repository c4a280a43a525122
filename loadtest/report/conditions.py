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


def conditions(told: Conditions, more: dict[str, str], *, ours: str) -> str:
    """A list in Markdown. `ours`: the settings that the program chose, unless one was handed on."""
    packages = ", ".join(f"{name} {version}" for name, version in told.packages.items())
    settings = ", ".join(f"{name}={value}" for name, value in told.settings.items())
    lines = {
        "when": f"{told.date} UTC, commit {told.commit}",
        "command": f"`{told.command}`",
        "processor": f"{told.processor}, {told.cores} cores; governor: {told.governor}; "
        f"load before: {told.load:.2f}",
        "pinned": told.pinned,
        "client": told.client,
        "software": f"Linux {told.kernel}, Python {told.python}, {packages}",
        "model": told.model,
        "settings handed on": settings or f"none; {ours} is the bench's",
    } | more
    return "\n".join(f"* {name}: {value}" for name, value in lines.items())

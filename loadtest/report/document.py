"""The parts of reports: tables, the conditions of a measurement, JSON, the folder of the files."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import orjson

from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions

T = TypeVar("T")
Line = tuple[str, ...]  # the cells of a row; the first row of a table is its head
Columns = Mapping[str, Callable[[T], str]]  # by head: the cell of a row


def table(rows: Iterable[T], columns: Columns[T]) -> list[Line]:
    return [tuple(columns), *(tuple(cell(row) for cell in columns.values()) for row in rows)]


def as_text(lines: list[Line]) -> str:
    """Columns as wide as necessary: the first is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(lines: list[Line]) -> str:
    head, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rest])


def paragraphs(*parts: str) -> str:
    """A document of these parts, without those that are empty."""
    return "\n\n".join(filter(None, parts)) + "\n"


def conditions(found: Conditions, more: dict[str, str], *, ours: str) -> str:
    """A list in Markdown. `ours`: the settings that the program sets unless they are set."""
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
        "settings passed on": settings or f"none; {ours} is the bench's",
    } | more
    return "\n".join(f"* {name}: {value}" for name, value in lines.items())


def as_json(document: object) -> str:
    """Dataclasses are objects, tuples are arrays, and numbers that are not finite are null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(document, list, options | orjson.OPT_APPEND_NEWLINE).decode()


def new_folder(results: Path, name: str) -> Path:
    """A new folder for results; `name` is a format of the current time."""
    folder = results / time.strftime(name, time.gmtime())
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CannotMeasure(f"no folder for results: {error}; name another: --results") from error
    return folder

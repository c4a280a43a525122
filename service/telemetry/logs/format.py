"""The format of a log line: JSON for machines, text for people.

    LogRecord --fields_of--> {"ts", "level", "logger", "event", ...} --json_line, text_line--> bytes

The names of the fields are documented in docs/reference/operation.md. Whatever an event contains,
it stays one line of JSON; in text only a traceback's lines follow it, indented, so that none can be
forged.
"""

import json
import logging
import time
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

LONGEST = 8192  # characters of a text; of a traceback the last, which say most
PLACED = {"ts", "level", "logger", "worker", "event", "traceback"}  # by text, each in its own way
# What every record has: anything else was given as `extra`.
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}

Fields = dict[str, Any]


def fields_of(record: logging.LogRecord) -> Fields:
    """The event of a log record."""
    fields = {
        "ts": timestamp(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": record.getMessage().strip()[:LONGEST],
    }
    fields |= {name: value for name, value in vars(record).items() if name not in _USUAL}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields |= failure_of(error)
    return fields


def failure_of(error: BaseException) -> Fields:
    """What an exception adds to an event: its first cause, and the traceback."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    return {
        "exception": f"{type(first).__name__}: {first}"[:LONGEST],
        "traceback": "".join(traceback.format_exception(error))[-LONGEST:],
    }


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond, of seconds since 1970."""
    second, millisecond = divmod(int(seconds * 1000), 1000)
    return "%s.%03dZ" % (_second(second), millisecond)  # noqa: UP031 (an f-string takes longer)


@lru_cache(maxsize=1)  # strftime takes longer than all the rest of a line
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def json_line(fields: Fields) -> bytes:
    try:
        # A new object: what dumps returns occupies 8 kB whatever its length, and many may wait.
        line = orjson.dumps(fields) + b"\n"
    except TypeError:  # half a surrogate pair, as in file names, or no JSON at all
        line = b"\xff"
    if line.isascii():
        return line
    # Escaped, what is not ASCII cannot be taken for the end of a line or for a terminal's command.
    plain = {name: _encodable(value) for name, value in fields.items()}
    return json.dumps(plain, default=str).encode() + b"\n"


def text_line(fields: Fields) -> bytes:
    worker = f"worker {fields['worker']}: " if "worker" in fields else ""
    more = "".join(f" {name}={_shown(value)}" for name, value in _others(fields).items())
    head = f"{fields['ts']} {fields['level'].upper()} {fields['logger']}: {worker}"
    lines = [f"{head}{printable(fields['event'])}{more}"]
    lines += [f"    {printable(line)}" for line in fields.get("traceback", "").splitlines()]
    return "".join(f"{line}\n" for line in lines).encode()


def printable(text: str) -> str:
    """The same with an escape for each letter that could move a cursor or begin a line."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _others(fields: Fields) -> Mapping[str, Any]:
    return {name: value for name, value in fields.items() if name not in PLACED}


def _shown(value: object) -> str:
    """With quotes around what has blanks in it."""
    text = printable(str(value))
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value

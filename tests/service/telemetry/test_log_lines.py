"""The format of log lines, for any logged content."""

import json
import logging
import re
import sys

import pytest

from service.telemetry.logs.format import LONGEST, fields_of, json_line, text_line, timestamp

NASTY = [
    "two\nlines",
    "\r\x1b[2J\x1b[31mred",
    '"quoted", {braces} and \\',
    "größer als 28² \U0001f600",
    "\x85\u2028\u2029 end lines, too; \x9b2J clears",
    "half a pair: \udc80",
    "\x00",
]


def record(message: str, *words: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("service", logging.WARNING, "", 0, message, words, None)
    made.__dict__.update(more)
    return made


def failed(message: str) -> logging.LogRecord:
    made = record("it failed")
    try:
        try:
            raise KeyError(message)
        except KeyError as error:
            raise RuntimeError(message) from error
    except RuntimeError:
        made.exc_info = sys.exc_info()
    return made


@pytest.mark.parametrize("text", NASTY)
def test_any_logged_text_is_one_line_of_ascii_json(text: str) -> None:
    for each in (record("%s", text), record("it", name_of_file=text), failed(text)):
        line = json_line(fields_of(each))
        assert line.endswith(b"\n")
        assert re.fullmatch(rb"[ -~]+", line[:-1])
        reported = json.loads(line)
        assert {"ts", "level", "logger", "event"} <= set(reported)


def test_json_preserves_the_logged_text() -> None:
    reported = json.loads(json_line(fields_of(record("größer: %s", "ü\n", count=3))))
    assert reported["event"] == "größer: ü"
    assert (reported["level"], reported["logger"], reported["count"]) == ("warning", "service", 3)


@pytest.mark.parametrize("text", NASTY)
def test_logged_text_cannot_forge_a_line(text: str) -> None:
    for each in (record("%s", text), record("it", name_of_file=text), failed(text)):
        content = text_line(fields_of(each)).decode()
        first, *others = content.removesuffix("\n").split("\n")
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z WARNING service: ", first)
        assert all(line.startswith("    ") for line in others)
        assert all(line.isprintable() for line in (first, *others))
        assert bool(others) == bool(each.exc_info)  # only a traceback has lines of its own


def test_an_exception_is_logged_with_its_cause_and_full_traceback() -> None:
    reported = json.loads(json_line(fields_of(failed("no such key"))))
    assert reported["exception"] == "KeyError: 'no such key'"
    assert "RuntimeError: no such key" in reported["traceback"]
    assert reported["traceback"].count("Traceback") == 2


def test_the_length_of_a_line_is_limited() -> None:
    assert len(json_line(fields_of(record("x" * 10**6)))) < LONGEST + 200
    assert len(json_line(fields_of(failed("x" * 10**6)))) < 2 * LONGEST + 2000


def test_values_unknown_to_json_are_logged_as_text() -> None:
    reported = json.loads(json_line(fields_of(record("it", where={1, 2}, path=NotImplemented))))
    assert reported["path"] == "NotImplemented"


def test_times_are_utc_in_milliseconds() -> None:
    assert timestamp(0.0019) == "1970-01-01T00:00:00.001Z"
    assert timestamp(1_700_000_000.9999) == "2023-11-14T22:13:20.999Z"

"""What a line of the log looks like, whatever is logged."""

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
def test_whatever_is_logged_is_one_line_of_ascii_json(text: str) -> None:
    for each in (record("%s", text), record("it", name_of_file=text), failed(text)):
        line = json_line(fields_of(each))
        assert line.endswith(b"\n")
        assert re.fullmatch(rb"[ -~]+", line[:-1])
        reported = json.loads(line)
        assert {"ts", "level", "logger", "event"} <= set(reported)


def test_json_says_what_was_logged() -> None:
    reported = json.loads(json_line(fields_of(record("größer: %s", "ü\n", count=3))))
    assert reported["event"] == "größer: ü"
    assert (reported["level"], reported["logger"], reported["count"]) == ("warning", "service", 3)


@pytest.mark.parametrize("text", NASTY)
def test_whatever_is_logged_forges_no_line_of_text(text: str) -> None:
    for each in (record("%s", text), record("it", name_of_file=text), failed(text)):
        content = text_line(fields_of(each)).decode()
        first, *others = content.removesuffix("\n").split("\n")
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z WARNING service: ", first)
        assert all(line.startswith("    ") for line in others)
        assert all(line.isprintable() for line in (first, *others))
        assert bool(others) == bool(each.exc_info)  # only a trace has lines of its own


def test_an_exception_is_told_with_what_it_began_with_and_its_whole_trace() -> None:
    reported = json.loads(json_line(fields_of(failed("no such key"))))
    assert reported["exception"] == "KeyError: 'no such key'"
    assert "RuntimeError: no such key" in reported["traceback"]
    assert reported["traceback"].count("Traceback") == 2


def test_nothing_makes_a_line_without_end() -> None:
    assert len(json_line(fields_of(record("x" * 10**6)))) < LONGEST + 200
    assert len(json_line(fields_of(failed("x" * 10**6)))) < 2 * LONGEST + 2000


def test_what_json_does_not_know_is_told_in_words() -> None:
    reported = json.loads(json_line(fields_of(record("it", where={1, 2}, path=NotImplemented))))
    assert reported["path"] == "NotImplemented"


def test_times_are_utc_to_the_millisecond() -> None:
    assert timestamp(0.0019) == "1970-01-01T00:00:00.001Z"
    assert timestamp(1_700_000_000.9999) == "2023-11-14T22:13:20.999Z"

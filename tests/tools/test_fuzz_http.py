"""A short run of `make fuzz-http`, and the exact list of accepted deviations."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from tests.support.invalid_requests import INVALID, NEXT
from tools.fuzz_http.__main__ import fuzz
from tools.fuzz_http.comparison import Comparison, Unexpected
from tools.fuzz_http.deviations import DEVIATIONS, Deviation
from tools.fuzz_http.reading import REFUSED, Reading
from tools.fuzz_http.responses import compare
from tools.fuzz_http.service_parser import ServiceParser
from tools.fuzz_http.streams import Stream

DOCUMENT = (Path(__file__).parents[2] / "docs/explanation/http.md").read_text()


def splits(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """Split into two segments everywhere, and into single bytes."""
    yield from ((data[:at], data[at:]) for at in range(1, len(data)))
    yield tuple(data[at : at + 1] for at in range(len(data)))


def test_hundreds_of_streams_are_parsed_as_by_h11(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asyncio.run(fuzz(1, range(300))) == 0, capsys.readouterr().out


def test_hundreds_of_connections_are_answered_alike_on_the_fast_path_and_through_asgi(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert uvloop.run(compare(1, range(300))) == 0, capsys.readouterr().out


def test_a_response_of_the_fast_path_that_differs_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.http.fast.fast_exchange.CLOSE", b"connection: Close\r\n")
    monkeypatch.setattr("service.http.fast.protocol.KEEP_ALIVE", b"")
    assert uvloop.run(compare(1, range(300))) == 1
    assert re.search(r"make fuzz-http ARGS='--seed 1 --case \d+'", capsys.readouterr().out)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=[each.what for each in DEVIATIONS])
def test_each_accepted_deviation_exists_and_is_documented(deviation: Deviation) -> None:
    async def compare() -> Deviation | None:
        return await Comparison().compare(Stream(0, 0, (deviation.example,)))

    assert asyncio.run(compare()) is deviation
    assert f"| {deviation.what} | {deviation.reason} |\n" in DOCUMENT


def test_the_document_lists_no_other_deviations() -> None:
    assert len([line for line in DOCUMENT.splitlines() if line.startswith("| ")]) == 1 + len(
        DEVIATIONS
    )


def test_a_difference_that_is_not_on_the_list_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    deviation = DEVIATIONS[0]
    monkeypatch.setattr("tools.fuzz_http.comparison.DEVIATIONS", DEVIATIONS[1:])

    async def compare() -> None:
        with pytest.raises(Unexpected):
            await Comparison().compare(Stream(0, 0, (deviation.example,)))

    asyncio.run(compare())


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_request_is_rejected_wherever_it_is_split(invalid: bytes) -> None:
    async def read() -> list[Reading]:
        parser = ServiceParser(hot=True)
        return [await parser.read(pieces) for pieces in splits(invalid + NEXT)]

    readings = asyncio.run(read())
    assert {(reading.requests, reading.end) for reading in readings} == {((), REFUSED)}

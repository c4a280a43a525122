"""A little of `make fuzz-http`, and the list of what is accepted, which is exact."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.invalid_requests import INVALID, NEXT
from tools.fuzz_http.__main__ import fuzz
from tools.fuzz_http.comparison import Comparison, Unexpected
from tools.fuzz_http.deviations import DEVIATIONS, Deviation
from tools.fuzz_http.reading import REFUSED, Reading
from tools.fuzz_http.service_parser import ServiceParser
from tools.fuzz_http.streams import Stream

DOCUMENT = (Path(__file__).parents[2] / "docs/security/http.md").read_text()


def splits(data: bytes) -> Iterator[tuple[bytes, ...]]:
    """In two pieces, everywhere, and in single bytes."""
    yield from ((data[:at], data[at:]) for at in range(1, len(data)))
    yield tuple(data[at : at + 1] for at in range(len(data)))


def test_some_hundred_streams_are_read_as_h11_reads_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asyncio.run(fuzz(1, range(300))) == 0, capsys.readouterr().out


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=[each.what for each in DEVIATIONS])
def test_each_accepted_deviation_is_one_and_is_in_the_document(deviation: Deviation) -> None:
    async def compare() -> Deviation | None:
        return await Comparison().compare(Stream(0, 0, (deviation.example,)))

    assert asyncio.run(compare()) is deviation
    assert f"| {deviation.what} | {deviation.reason} |\n" in DOCUMENT


def test_the_document_has_no_other_deviations() -> None:
    assert len([line for line in DOCUMENT.splitlines() if line.startswith("| ")]) == 1 + len(
        DEVIATIONS
    )


def test_a_difference_that_is_not_on_the_list_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    deviation = DEVIATIONS[0]
    monkeypatch.setattr("tools.fuzz_http.comparison.DEVIATIONS", DEVIATIONS[1:])

    async def compare() -> None:
        with pytest.raises(Unexpected):
            await Comparison().compare(Stream(0, 0, (deviation.example,)))

    asyncio.run(compare())


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_what_is_invalid_is_refused_wherever_it_is_split(invalid: bytes) -> None:
    async def read() -> list[Reading]:
        parser = ServiceParser(hot=True)
        return [await parser.read(pieces) for pieces in splits(invalid + NEXT)]

    readings = asyncio.run(read())
    assert {(reading.requests, reading.end) for reading in readings} == {((), REFUSED)}

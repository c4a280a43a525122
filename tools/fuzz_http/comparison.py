"""Compare two readings of one stream: they are equal, or their difference is an accepted one."""

from itertools import count

from tools.fuzz_http import strict_parser
from tools.fuzz_http.deviations import DEVIATIONS, Deviation
from tools.fuzz_http.reading import CLOSED, OPEN, REFUSED, Reading
from tools.fuzz_http.service_parser import ServiceParser
from tools.fuzz_http.streams import Stream

# These complete a line and a head, so that h11 reports what it has parsed.
COMPLETIONS = (b"\r\n", b"\r\n\r\n", b"\n", b"\n\r\n")


class Unexpected(Exception):
    """Two readings differ, and no accepted deviation explains it."""


class Comparison:
    """Must be created and used on a running event loop."""

    def __init__(self) -> None:
        self._fast, self._careful = ServiceParser(hot=True), ServiceParser(hot=False)

    async def compare(self, stream: Stream) -> Deviation | None:
        """Returns the accepted difference between the service and h11, or None if there is none."""
        fast, careful = (
            await self._fast.read(stream.pieces),
            await self._careful.read(stream.pieces),
        )
        if fast != careful:
            raise Unexpected(f"fast path: {fast}\ncareful path: {careful}")
        whole = await self._fast.read([stream.data] if stream.data else [])
        if (fast.requests, fast.end) != (whole.requests, whole.end):
            raise Unexpected(f"in these pieces: {fast}\nin one piece: {whole}")
        strict = strict_parser.read(stream.pieces, self._fast.max_head)
        if (fast.requests, fast.end) == (strict.requests, strict.end):
            return None
        if fast.end == REFUSED and strict.end == OPEN and fast.requests == strict.requests:
            # The service has rejected the beginning of something that h11 considers incomplete.
            completed = [
                strict_parser.read([*stream.pieces, end], self._fast.max_head)
                for end in COMPLETIONS
            ]
            ends = {each.end for each in completed if each != strict}
            if ends == {REFUSED}:
                return None
        for deviation in DEVIATIONS:
            if _explains(deviation, fast, strict):
                return deviation
        raise Unexpected(f"the service: {fast}\nh11: {strict}")


def _explains(deviation: Deviation, service: Reading, strict: Reading) -> bool:
    """Whether the first difference is the end of that side's reading, for the given reason."""
    same = next(
        at for at in count()
        if service.requests[at : at + 1] != strict.requests[at : at + 1]
        or at == len(service.requests)
    )  # fmt: skip
    h11_ended = len(strict.requests) == same and strict.end != OPEN
    ended, reason = (strict, deviation.h11) if h11_ended else (service, deviation.service)
    return (
        bool(reason)
        and len(ended.requests) == same
        and ended.end in (REFUSED, CLOSED)
        and ended.reason.startswith(reason)
    )

"""uvicorn's protocol with a limit to how large a head may be; its parser has none.

What follows the last chunk of a body, more headers, counts as well.
"""

from typing import Any

from service.keep_alive import KeepAlive
from service.problem_types.http import HEAD_TOO_LARGE, HOST_HEADER
from service.problems import Problem


class Heads(KeepAlive):
    """Whoever is told by the parser of heads and bodies says so."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.max_head: int = self.front.settings.max_header
        self.may_be_large = False  # whether the head that ends now may be too large
        self.size = 0  # bytes of a head that comes in pieces; 0: none does
        self.between_chunks = False  # of a body, or behind the last

    def came_in_pieces(self, received: int) -> None:
        """Those bytes did not end with the end of a head, nor in the data of a body."""
        if self.transport.is_closing():
            return
        if self.head_has_begun:
            self._head_goes_on(received)
        else:
            self._chunks_stand_still(received)

    def on_chunk_header(self) -> None:
        """The parser has read how long the next chunk is, or that there is none."""
        self.between_chunks, self.size = True, 0

    def end_body(self) -> None:
        self.between_chunks, self.size = False, 0

    def check_head(self) -> None:
        """Of one that is complete and may be too large. Raises Problem, through the parser."""
        lines = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) + lines > self.max_head:
            self.refusal = self._too_large()
            raise self.refusal

    def check_host(self) -> None:
        """Of a complete head, as RFC 9112 section 3.2 wants it. Raises Problem, through the parser.

        Without exactly one, a proxy and this service could think of different hosts.
        """
        hosts = sum([name == b"host" for name, _ in self.headers])
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self.refusal = Problem(
                HOST_HEADER, f"a request of HTTP/1.1 has one Host header, and this one has {hosts}"
            )
            raise self.refusal

    def _head_goes_on(self, received: int) -> None:
        if self.size:
            self.size += received
        else:  # the first piece, of which a part may be the end of another request
            self.size = 1 + sum(len(name) + len(value) + 4 for name, value in self.headers)
            self.close_in(self.seconds)
        if self.size > self.max_head:
            self.refuse(self._too_large())

    def _chunks_stand_still(self, received: int) -> None:
        """What was received ends with no chunk's data: headers behind the last one, it may be."""
        # Of the first piece most may be data.
        self.size = self.size + received if self.size else 1
        if self.size > self.max_head:
            if self.cycle.response_started:
                self.close_for_certain()
            else:
                self.refuse(self._too_large())

    def _too_large(self) -> Problem:
        return Problem(
            HEAD_TOO_LARGE,
            f"the head of the request is larger than {self.max_head:,} bytes "
            "(DIGITSERVE_MAX_HEADER); send fewer or shorter headers",
        )

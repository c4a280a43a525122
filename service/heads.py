"""uvicorn's protocol with a limit to how large a head may be; its parser has none.

What follows the last chunk of a body, more headers, counts as well.
"""

from typing import Any

from service.keep_alive import KeepAlive
from service.problems import Problem


class Heads(KeepAlive):
    """Whoever is told by the parser of heads and bodies says so."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._max_head: int = self.front.settings.max_header
        self._large = False  # whether the head that ends now may be too large
        self._size = 0  # bytes of a head that comes in pieces; 0: none does
        self.between_chunks = False  # of a body, or behind the last

    def data_received(self, data: bytes) -> None:
        self._large = self._size + len(data) > self._max_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.head_has_begun:
            self._head_goes_on(len(data))
        elif self.between_chunks:
            self._chunks_stand_still(len(data))

    def on_chunk_header(self) -> None:
        """The parser has read how long the next chunk is, or that there is none."""
        self.between_chunks, self._size = True, 0

    def end_body(self) -> None:
        self.between_chunks, self._size = False, 0

    def check_head(self) -> None:
        """Of a head that is complete. Raises Problem, which goes through the parser."""
        if self._large:
            lines = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + lines > self._max_head:
                self.refusal = self._too_large()
                raise self.refusal
        self._size = 0

    def _head_goes_on(self, received: int) -> None:
        if self._size:
            self._size += received
        else:  # the first piece, of which a part may be the end of another request
            self._size = 1 + sum(len(name) + len(value) + 4 for name, value in self.headers)
            self.close_in(self.seconds)
        if self._size > self._max_head:
            self.refuse(self._too_large())

    def _chunks_stand_still(self, received: int) -> None:
        """What was received ends with no chunk's data: headers behind the last one, it may be."""
        # Of the first piece most may be data.
        self._size = self._size + received if self._size else 1
        if self._size > self._max_head:
            if self.cycle.response_started:
                self.close_for_certain()
            else:
                self.refuse(self._too_large())

    def _too_large(self) -> Problem:
        return Problem(
            431,
            f"the head of the request is larger than {self._max_head:,} bytes "
            "(DIGITSERVE_MAX_HEADER); send fewer or shorter headers",
        )

"""uvicorn's protocol with a limit to how large a head may be; its parser has none."""

from typing import Any

from service.keep_alive import KeepAlive
from service.problems import Problem


class Heads(KeepAlive):
    """Whoever is told by the parser calls `begin_head` and `end_head`."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self._max_head: int = self.front.settings.max_header
        self._large = False  # whether the head that ends now may be too large
        self._size = 0  # bytes of a head that comes in pieces; 0: none does

    def data_received(self, data: bytes) -> None:
        self._large = self._size + len(data) > self._max_head
        super().data_received(data)
        if self.head_has_begun and not self.transport.is_closing():
            self._head_goes_on(len(data))

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

    def _too_large(self) -> Problem:
        return Problem(
            431,
            f"the head of the request is larger than {self._max_head:,} bytes "
            "(DIGITSERVE_MAX_HEADER); send fewer or shorter headers",
        )

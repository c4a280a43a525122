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
        self.size = 0  # bytes of what follows the data of a chunk
        self.between_chunks = False  # of a body, or behind the last

    def on_chunk_header(self) -> None:
        """The parser has read how long the next chunk is, or that there is none."""
        self.between_chunks, self.size = True, 0

    def end_body(self) -> None:
        self.between_chunks, self.size = False, 0

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

    def chunks_stand_still(self, received: int) -> None:
        """What was received ends with no chunk's data: headers behind the last one, it may be."""
        # Of the first piece most may be data.
        self.size = self.size + received if self.size else 1
        if self.size > self.max_head:
            if self.cycle.response_started:
                self.close_for_certain()
            else:
                self.refuse(self.too_large())

    def too_large(self) -> Problem:
        return Problem(
            HEAD_TOO_LARGE,
            f"the head of the request is larger than {self.max_head:,} bytes "
            "(DIGITSERVE_MAX_HEADER); send fewer or shorter headers",
        )

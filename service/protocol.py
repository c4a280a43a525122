"""uvicorn's HTTP protocol, except that what is no HTTP is answered as a problem document too."""

import logging
from secrets import token_hex

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import CONTENT_TYPE, Problem, document

log = logging.getLogger("service")


class Protocol(HttpToolsProtocol):
    def send_400_response(self, msg: str) -> None:
        request_id = token_hex(8)
        log.info("request %s: %s", request_id, msg)
        body = document(Problem(400, "the request is not valid HTTP/1.1"), request_id)
        head = (
            f"HTTP/1.1 400 Bad Request\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

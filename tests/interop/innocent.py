"""Clients of a proxy that only send their own requests and check the responses."""

import json
from http.client import HTTPException
from itertools import count
from typing import Any

from tests.interop.proxy import Proxy
from tests.support.pictures import SEVEN
from tests.support.running import ADMIN

TIMEOUT = 5.0  # seconds; a request that was appended to a smuggled one is never answered


class Innocent:
    """A client with a connection of its own."""

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.number = number
        self.connection = proxy.client(TIMEOUT)
        self._requests = count()

    def send(self) -> str | None:
        """What is wrong with the response to this client's next request."""
        turn = next(self._requests)
        request_id = f"innocent-{self.number}-{turn}"
        method, path, body, headers, expected = self._request(turn)
        try:
            self.connection.request(method, path, body, headers | {"X-Request-ID": request_id})
            response = self.connection.getresponse()
            content = response.read()
        except (HTTPException, OSError) as error:
            self.connection.close()
            return f"{request_id}: {method} {path} got no answer: {error!r}"
        found = (response.status, response.headers["X-Request-ID"], _fact(content))
        if found == (200, request_id, expected):
            return None
        return f"{request_id}: {method} {path} was answered {found} and not {expected}"

    def _request(self, turn: int) -> tuple[str, str, bytes | None, dict[str, str], object]:
        """Method, path, body and headers of a request, and the expected response."""
        match (self.number + turn) % 4:
            case 0:
                return "GET", "/livez", None, {}, True
            case 1:
                label = str(self.number % 10)
                return "GET", f"/v1/samples/random?label={label}", None, {}, label
            case 2:
                return "POST", "/v1/predict", SEVEN, {"Content-Type": "image/png"}, "7"
            case _:
                return "GET", "/v1/status", None, ADMIN, "1"


def _fact(content: bytes) -> object:
    """A value that occurs in no other kind of response, or the beginning of the content."""
    try:
        document: Any = json.loads(content)
    except ValueError:
        return content[:80]
    match document:
        case {"alive": alive}:
            return alive
        case {"label": label}:
            return label
        case {"predictions": [{"label": label}]}:
            return label
        case {"model": {"version": version}, "batching": _}:
            return version
        case _:
            return content[:80]

"""The methods of a path, and the responses to OPTIONS, HEAD and methods that it does not have.

    OPTIONS           204 with Allow: the methods of that path
    HEAD              wherever GET is: the gateway calls the route with GET, sends the head alone
    another method    405 with the same Allow where the service knows it, 501 where it does not

A path that ends in a superfluous slash is redirected to the one without by a relative reference,
so the service does not have to know the scheme, host and prefix that its client used.
"""

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Message, Scope

from service.http.exchange import Endpoint

# Those of RFC 9110, PATCH and QUERY, less CONNECT, which never becomes a request.
KNOWN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"})
ROUTED = ("POST", "PUT", "PATCH", "DELETE")  # beside GET, that a route may have


def allow_of(methods: Iterable[str]) -> str:
    """The value of an Allow header for routes that take these methods."""
    allowed = {*methods, "OPTIONS"}
    return ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))


class Methods:
    def __init__(self, endpoints: Sequence[Endpoint], routes: Sequence[BaseRoute]) -> None:
        """`routes`: of FastAPI; more may be added to them later."""
        self._endpoints = {endpoint.route: endpoint.method for endpoint in endpoints}
        self._routes = routes

    def allowed(self, path: str) -> str:
        """The value of Allow for a path; empty if there is no such path."""
        methods = {self._endpoints[path]} if path in self._endpoints else set()
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                methods.add("GET")
            if match is not Match.NONE and not isinstance(route, Mount):  # files: for others, 405
                methods |= {
                    method
                    for method in ROUTED
                    if route.matches({**scope, "method": method})[0] is Match.FULL
                }
        return allow_of(methods) if methods else ""

    def without_slash(self, scope: Scope) -> str | None:
        """The redirect target, without the trailing slash; None if there is no such path.

        Clients treat several slashes differently, so they are not handled.
        """
        bare = scope["path"].removesuffix("/")
        is_plain = scope["raw_path"].endswith(b"/") and bare and not bare.endswith("/")
        if not is_plain or not self.allowed(bare):
            return None
        segment = scope["raw_path"].decode("ascii").removesuffix("/").rpartition("/")[2]
        query = scope["query_string"].decode("ascii")
        return f"../{segment}?{query}" if query else f"../{segment}"


def empty_answer(status: int, name: str, value: str) -> tuple[Message, Message]:
    """A response without a body, with one header."""
    headers = [(name.encode(), value.encode("ascii"))]
    if status != 204:
        headers.append((b"content-length", b"0"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body"}

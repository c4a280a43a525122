"""Which methods a path takes, and the answers to OPTIONS, HEAD and methods that it does not take.

    OPTIONS           204 with Allow: the methods of that path
    HEAD              wherever GET is: `front` asks the route for GET and sends the head alone
    another method    405 with the same Allow where the service knows it, 501 where it does not

A path with a slash too many is redirected to the one without, by a reference relative to itself:
the service need not know under which scheme, host and prefix its client has reached it.
"""

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Message, Scope

from service.exchange import Endpoint

# Those of RFC 9110 and PATCH, less CONNECT, which never becomes a request.
KNOWN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
ROUTED = ("GET", "POST", "PUT", "PATCH", "DELETE")  # that a route may have of its own


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
        for route in self._routes:
            taken = ["GET"] if isinstance(route, Mount) else ROUTED  # files: for any other, 405
            for method in taken:
                scope = {"type": "http", "method": method, "path": path, "headers": []}
                if route.matches(scope)[0] is Match.FULL:
                    methods.add(method)
        return allow_of(methods) if methods else ""

    def without_slash(self, scope: Scope) -> str | None:
        """Where a path that ends in a slash is found without it; None if nowhere.

        Of several slashes clients make different things, so they are not looked at.
        """
        path: str = scope["path"]
        bare = path.removesuffix("/")
        if not bare or bare.endswith("/") or self.allowed(path) or not self.allowed(bare):
            return None
        segment = scope["raw_path"].decode("ascii").removesuffix("/").rpartition("/")[2]
        query = scope["query_string"].decode("ascii")
        return f"../{segment}?{query}" if query else f"../{segment}"


def empty_answer(status: int, name: str, value: str) -> tuple[Message, Message]:
    """Of no more than one header."""
    headers = [(name.encode(), value.encode("ascii"))]
    if status != 204:
        headers.append((b"content-length", b"0"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return start, {"type": "http.response.body"}

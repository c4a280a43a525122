"""A fast endpoint behind ASGI: bodies in pieces, of any size, from clients of any speed.

Requests that the fast path does not serve arrive here, and all requests of tests without sockets.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter

from starlette.types import Receive, Scope, Send

from service.errors import Problem
from service.http.body import BufferBudget, ClientGone, Reservation, read_body, while_connected
from service.http.errors import record_refusal, refusal
from service.http.exchange import Endpoint, Exchange, deadline_of
from service.http.methods import allow_of
from service.problem_types.http import METHOD_NOT_ALLOWED
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics

Reply = tuple[int, bytes, bytes]  # status, header lines, content


@dataclass
class AsgiEndpoint:
    endpoint: Endpoint
    settings: Settings
    metrics: Metrics
    budget: BufferBudget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reservation = Reservation(self.budget)
        try:
            status, head, content = await self._reply(scope, receive, reservation)
        except ClientGone:
            return  # without a response, so that the gateway counts 499; FastAPI would make it 500
        except Exception as error:
            problem = scope["problem"] = record_refusal(error, self.metrics, self.endpoint.route)
            status = problem.status
            head, content = refusal(problem, self.endpoint.route, scope["request_id"])
        finally:
            reservation.release()
        lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[:-1]]
        headers = [(name, value) for name, value in lines]
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _reply(self, scope: Scope, receive: Receive, reservation: Reservation) -> Reply:
        began = perf_counter()
        if scope["method"] != "POST":
            raise Problem(
                METHOD_NOT_ALLOWED, "this route takes POST", headers={"allow": allow_of(["POST"])}
            )
        headers = dict(scope["headers"])
        self.endpoint.admit(headers)
        deadline = deadline_of(headers, began, self.settings.request_timeout)
        try:
            body = await read_body(headers, receive, self.settings.max_body, deadline, reservation)
        except ClientGone:
            self.metrics.cancelled.labels("body").inc()
            raise
        query = scope["query_string"]
        exchange = _AsgiExchange(self.metrics, headers, query, body, began, deadline)
        exchange.latest = began + self.settings.request_timeout
        scope["exchange"] = exchange
        exchange.reply_to = asyncio.get_running_loop().create_future()
        try:
            self.endpoint.begin(exchange)
        except Exception as error:
            exchange.fail(error)  # which also counts the failure
        return await exchange.replied(receive)


class AsgiByPath:
    """An ASGI application for a path with parameters; each request has an endpoint of its own."""

    def __init__(
        self,
        path: str,
        endpoint_of: Callable[..., Endpoint],
        settings: Settings,
        metrics: Metrics,
        budget: BufferBudget,
    ) -> None:
        """`endpoint_of` makes the endpoint from the parameters of the path, by their names."""
        self.path = path
        self._endpoint_of = endpoint_of
        self._services = settings, metrics, budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # as FastAPI's own routes do, for the labels of metrics
        endpoint = self._endpoint_of(**scope["path_params"])
        await AsgiEndpoint(endpoint, *self._services)(scope, receive, send)


class _AsgiExchange(Exchange):
    latest = inf  # set with each request
    reply_to: asyncio.Future[Reply]

    async def replied(self, receive: Receive) -> Reply:
        """The reply; raises ClientGone if the client hangs up before."""
        try:
            return await while_connected(receive, self.reply_to)
        finally:
            self.hang_up()

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        if not self.reply_to.done():
            self.reply_to.set_result((status, head, content))

    def _refuse(self, error: Exception) -> None:
        if not self.reply_to.done():
            self.reply_to.set_exception(error)

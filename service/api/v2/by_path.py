"""Inference by a path that is not the fast one: with a version, or with a name that is not served.

    /v2/models/{model}/infer, /v2/models/{model}/versions/{version}/infer --> Infer, or 404

A version is answered while it serves. If another takes its place between a request and its batch,
the request is refused too: no answer comes from a version that was not asked for.
"""

from collections.abc import Mapping

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.api.v2.infer import Infer
from service.api.v2.model_lookup import ModelLookup
from service.http.asgi import AsgiEndpoint
from service.http.body import BufferBudget
from service.http.exchange import Exchange
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics

PATH = "/v2/models/{model}/infer"
VERSION_PATH = "/v2/models/{model}/versions/{version}/infer"


class InferByPath:
    """An ASGI application."""

    def __init__(
        self,
        path: str,
        infer: Infer,
        addressed: ModelLookup,
        settings: Settings,
        metrics: Metrics,
        budget: BufferBudget,
    ) -> None:
        self.path = path
        self.infer = infer
        self.addressed = addressed
        self._settings = settings
        self._metrics = metrics
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path_params"]
        scope["route"] = self  # as FastAPI's own routes do, for `gateway` to count by
        endpoint = _VersionEndpoint(self, asked["model"], asked.get("version"))
        await AsgiEndpoint(endpoint, self._settings, self._metrics, self._budget)(
            scope, receive, send
        )


class _VersionEndpoint:
    """An endpoint that answers one request."""

    method = "POST"

    def __init__(self, by_path: InferByPath, name: str, version: str | None) -> None:
        self.route = by_path.path
        self._infer = by_path.infer
        self._addressed = by_path.addressed
        self._name = name
        self._version = version

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        self._addressed.model(self._name, self._version)
        self._infer.admit(headers)

    def begin(self, exchange: Exchange) -> None:
        model = self._addressed.model(self._name, self._version)
        self._infer.begin_for(exchange, model.number)


def by_path_routes(
    infer: Infer, addressed: ModelLookup, settings: Settings, metrics: Metrics, budget: BufferBudget
) -> list[Route]:
    return [
        Route(
            path, InferByPath(path, infer, addressed, settings, metrics, budget), methods=["POST"]
        )
        for path in (PATH, VERSION_PATH)
    ]

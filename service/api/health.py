"""Probes, metrics and status as FastAPI routes, the errors of all such routes, and fast probes."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from service.api.metrics import OPENMETRICS, TEXT, Scrape
from service.api.predictions import BatchPredictions
from service.api.schemas import refusals
from service.api.status import Status, status_of
from service.batching.batcher import Batcher
from service.errors import Problem
from service.http.body import ClientGone
from service.http.errors import answer_to, record_refusal
from service.http.exchange import Endpoint, Exchange
from service.http.methods import Methods
from service.lifecycle import Life
from service.models.manager import ModelManager
from service.problem_types.operation import NOT_READY, STOPPING
from service.retraining.jobs import Jobs
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers

METRICS = tuple(kind.partition(";")[0] for kind in (TEXT, OPENMETRICS))


class Alive(BaseModel):
    alive: bool


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class Probe(Endpoint):
    """A probe as a fast endpoint, so that an orchestrator is answered at once under any load.

    FastAPI documents the route, and serves what the fast path does not, such as HEAD.
    """

    method = "GET"

    def __init__(
        self, route: str, content: BaseModel, check: Callable[[], object] = lambda: None
    ) -> None:
        """`check` raises the problem that is the answer in place of the content."""
        self.route = route
        self._content = content.model_dump_json().encode()
        self._check = check

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Probes need no API key."""

    def begin(self, exchange: Exchange) -> None:
        self._check()
        exchange.reply(200, b"content-type: application/json\r\n", self._content)


def probes(life: Life, batcher: Batcher[BatchPredictions]) -> list[Probe]:
    def check() -> None:
        check_ready(life, batcher)

    return [
        Probe("/livez", Alive(alive=True)),
        Probe("/readyz", Ready(ready=True), check),
        Probe("/v2/health/live", Live(live=True)),
        Probe("/v2/health/ready", Ready(ready=True), check),
    ]


def routes(
    serving: ModelManager,
    batcher: Batcher[BatchPredictions],
    settings: Settings,
    metrics: Metrics,
    life: Life,
    peers: Peers,
    scrape: Scrape,
    jobs: Jobs,
) -> APIRouter:
    router = APIRouter()

    @router.get("/livez", summary="Whether the process answers at all", tags=["probes"])
    async def livez() -> Alive:
        return Alive(alive=True)

    @router.get(
        "/readyz",
        summary="Whether to send requests here",
        tags=["probes"],
        responses=refusals(STOPPING, NOT_READY),
    )
    async def readyz() -> Ready:
        check_ready(life, batcher)
        return Ready(ready=True)

    @router.get(
        "/v1/status",
        summary="Model, engine and its fallbacks, batching, queue",
        tags=["operation"],
    )
    async def status() -> Status:
        return status_of(serving, batcher, settings, life, peers, metrics, jobs)

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        description="Prometheus' text format, or OpenMetrics with exemplars if `Accept` prefers it",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in METRICS}}},
    )
    async def exposition(request: Request) -> Response:
        # A list header that is sent in several lines is one list.
        wanted = {
            name.encode(): ", ".join(request.headers.getlist(name)).encode("latin-1")
            for name in ("accept", "accept-encoding")
        }
        headers, content = scrape.response(wanted)
        return Response(content, headers=headers)

    return router


def answer_with_problems(app: FastAPI, metrics: Metrics, methods: Methods) -> None:
    """Turn errors that end inside FastAPI into problem documents too."""

    async def as_problem(request: Request, error: Exception) -> Response:
        path, request_id = request.scope["path"], request.scope["request_id"]
        problem = request.scope["problem"] = record_refusal(error, metrics)
        if problem.status == 405:  # Starlette names the methods of one of several routes
            problem.headers["allow"] = methods.allowed(path)
        headers, body = answer_to(problem, path, request_id)
        return Response(body, problem.status, headers)

    async def without_response(_: Request, __: Exception) -> None:
        """The client has hung up: the gateway counts the request as 499."""

    for kind in (Problem, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, as_problem)
    app.add_exception_handler(ClientGone, without_response)  # type: ignore[arg-type]


def check_ready(life: Life, batcher: Batcher[BatchPredictions]) -> None:
    """The check of every readiness probe: raises Problem 503 if no requests should come."""
    if life.draining:
        raise Problem(STOPPING, "the service is stopping")
    if not batcher.alive:
        raise Problem(NOT_READY, "the batcher has stopped")

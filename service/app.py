"""The wiring: which part gets which. Each decision lives in the module it names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from time import perf_counter

from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from service.access import Access
from service.admin import admin_routes
from service.asked import batched
from service.batching.batcher import Batcher
from service.catalog import catalog_routes
from service.comparing import Comparing
from service.document import document
from service.front import Front
from service.lifecycle import Life
from service.live import Live
from service.live_route import live_routes
from service.methods import Methods
from service.metrics import Metrics
from service.nvml import Gpus
from service.pages import add_pages
from service.predict import Predict
from service.preparation import Preparation
from service.problem_pages import problem_pages
from service.readings import Readings
from service.refusals import begin_at_zero
from service.routes import answer_with_problems, routes
from service.samples import sample_routes
from service.serving import Serving
from service.settings import Settings
from service.shelf import Shelf
from service.statistics import Statistics
from service.team import Team
from service.tensors import Pixels
from service.tracing import Tracing
from service.v2.addressed import Addressed
from service.v2.by_path import PATH, VERSION_PATH, by_path_routes
from service.v2.infer import Infer
from service.v2.metadata import health_routes, model_routes
from service.v2.repository import repository_routes
from service.version_files import file_routes
from service.version_predict import ByVersion

ON_LOOP = 0.004  # seconds; a model call that takes longer would hold up the event loop
# FastAPI's own, which variables could switch on: it knows nothing of hot requests, tells what
# clients wrote, and waits for its collector. `tracing` is what there is.
NO_TELEMETRY: TelemetryConfig = {
    "auto_configure": False, "tracing": False, "metrics": False, "logs": False,
}  # fmt: skip
DESCRIPTION = "Handwritten digits, read in batches by ONNX Runtime."


def create_app(
    serving: Serving,
    settings: Settings,
    metrics: Metrics,
    life: Life,
    team: Team,
    statistics: Statistics,
    tracing: Tracing | None = None,
) -> Front:
    """The ASGI application; its lifespan runs the batcher and follows the store."""

    def observed(pixels: Pixels) -> Readings:
        """The model that serves now, as the batcher calls it: (n, 28, 28) -> n readings."""
        model = serving.model  # once: a batch is answered by one version
        metrics.batch_size.note(len(pixels))
        began = perf_counter()
        answers = model.engine(pixels)
        seconds = perf_counter() - began
        metrics.inference_seconds.labels(model.engine.provider).note(seconds)
        return Readings(model, answers, seconds)

    batcher = Batcher(
        observed,
        max_batch=settings.max_batch,
        max_wait=settings.max_wait,
        max_queue=settings.max_queue,
        on_loop=lambda pictures: serving.model.engine.seconds(pictures) < ON_LOOP,
        delivered=statistics.delivered,
    )
    preparation = Preparation(settings.max_queue, settings.max_decoding)
    access = Access(settings, metrics)
    comparing = Comparing(serving, settings, access)
    gpus = Gpus(needed=serving.model.engine.provider != "cpu")
    metrics.also(gpus)
    metrics.queue_limit.set(settings.max_queue)
    metrics.before_scrape.append(lambda: metrics.queue_depth.set(batcher.depth))
    metrics.when_failed.append(lambda seconds: statistics.failed(serving.model.number, seconds))

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with tracing.running() if tracing is not None else nullcontext(), batcher:
            gpus.start()
            following = asyncio.create_task(serving.follow(), name="follow the store")
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        gpus.stop()
        for part in (serving, comparing, preparation):
            part.close()

    # FastAPIOffline is FastAPI that serves the scripts of /docs itself.
    app = FastAPIOffline(
        docs_url=None,  # `pages` shows it
        redoc_url=None,
        title="digitserve",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # to absolute addresses, which behind a proxy are wrong
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        telemetry=NO_TELEMETRY,
    )
    app.include_router(routes(serving, batcher, settings, metrics, life, team))
    app.include_router(admin_routes(serving, settings, team, access.admin))
    shelf = Shelf(serving.store, serving.reads)
    app.include_router(catalog_routes(serving, comparing, shelf, settings, life))
    app.include_router(file_routes(shelf, settings))
    app.include_router(sample_routes(serving))
    app.include_router(live_routes(Live(serving, settings, metrics, life, team)))
    add_pages(app)
    app.include_router(problem_pages())
    app.include_router(health_routes(life, batcher, app.version))
    app.include_router(model_routes(serving, batcher, settings, life, statistics))
    app.include_router(repository_routes(serving, settings, team, shelf, access.admin))
    app.openapi = lambda: document(app, settings)  # type: ignore[method-assign]
    app.openapi()  # now: it takes 0.1 s, which the event loop has not
    predict = Predict(batched(batcher, metrics), preparation, settings)
    infer = Infer(batcher, preparation, settings, metrics)
    methods = Methods([predict, infer], app.router.routes)
    answer_with_problems(app, metrics, methods)
    begin_at_zero(metrics, (Predict.route, infer.route, PATH, VERSION_PATH, ByVersion.path))
    front = Front([predict, infer], app, settings, metrics, life, access, methods, tracing)
    addressed = Addressed(serving, settings)
    app.router.routes += by_path_routes(infer, addressed, settings, metrics, front.budget)
    by_version = ByVersion(
        serving, comparing, batcher, preparation, settings, metrics, front.budget
    )
    app.router.routes.append(Route(by_version.path, by_version, methods=["POST"]))
    return front

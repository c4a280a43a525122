"""The wiring: which part gets which. Each decision lives in the module it names."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial

from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from contract.card import ModelCard
from contract.mirror import MirroredStore
from contract.store import open_store
from service.api.health import answer_with_problems, probes, routes
from service.api.live.stream import Live, live_routes
from service.api.metrics import Scrape
from service.api.openapi import Document
from service.api.pages import add_pages
from service.api.params import addressed_model
from service.api.predictions import BatchPredictions, predict_batch
from service.api.problem_pages import problem_pages
from service.api.v1.admin import admin_routes
from service.api.v1.comparison import SecondaryModel
from service.api.v1.feedback import Correct
from service.api.v1.feedback_review import review_routes
from service.api.v1.files import file_routes
from service.api.v1.job_events import JobStreams
from service.api.v1.models import catalog_routes
from service.api.v1.pending import batched
from service.api.v1.predict import Predict
from service.api.v1.predict_version import PredictByVersion
from service.api.v1.retrain import retrain_routes
from service.api.v1.runs import run_routes
from service.api.v1.samples import sample_routes
from service.api.v2.infer import PATH, VERSION_PATH, Infer, InferByPath
from service.api.v2.metadata import health_routes, model_routes
from service.api.v2.repository import repository_routes
from service.api.v2.statistics import Statistics
from service.batching.batcher import Batcher
from service.feedback.folder import FeedbackFolder
from service.http.access_log import keep_access_log
from service.http.asgi import AsgiByPath
from service.http.auth import Access
from service.http.errors import begin_at_zero
from service.http.gateway import Gateway
from service.http.methods import Methods
from service.http.offload import Offload
from service.lifecycle import Life
from service.models.bucket_status import BucketStatus
from service.models.integrity import IntegrityCheck
from service.models.load_limits import load_watch
from service.models.loading import Model, load
from service.models.manager import ModelManager
from service.models.store_reader import StoreReader
from service.models.store_reads import check_store
from service.retraining.jobs import Jobs
from service.retraining.thread import BlockingCalls
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from service.telemetry.metrics.gpu import Gpus
from service.telemetry.metrics.registry import Metrics
from service.telemetry.metrics.shared_memory import SharedMemory
from service.telemetry.tracing import RequestTracing, tracing_of
from service.workers.channel import Report
from service.workers.peers import Peers, no_supervisor
from service.workers.sockets import allow_connections

ON_LOOP = 0.004  # seconds; a model call that takes longer would hold up the event loop
# FastAPI's own, which variables could switch on: it misses fast requests, reports what
# clients wrote, and waits for its collector. `tracing` is what there is.
NO_TELEMETRY: TelemetryConfig = {
    "auto_configure": False, "tracing": False, "metrics": False, "logs": False,
}  # fmt: skip
DESCRIPTION = "Images, classified in batches by ONNX Runtime."

log = logging.getLogger("service")


def build(
    settings: Settings,
    log_handler: AsyncLogHandler,
    report_failure: Callable[[str], None],
    *,
    version: int | None = None,
    memory: SharedMemory | None = None,
    slot: int = 0,
    send: Callable[[Report], None] = no_supervisor,
) -> tuple[Gateway, Peers, Model]:
    """Load a version, the current one for None, and wire the service around it.

    `report_failure` is called with a sentence before a load beyond its limits ends the process.
    `memory`, `slot` and `send` belong to a worker. Raises StoreError or CannotStart.
    """
    metrics, life = Metrics(memory), Life()
    allow_connections(settings.max_connections)
    tracing = tracing_of(settings, metrics, slot)
    store = open_store(settings.models, settings.model, settings.trusted_keys, settings.access)
    bucket = BucketStatus(store, metrics) if isinstance(store, MirroredStore) else None
    check_store(store, version, settings)
    model = load(store, version, settings, load_watch(report_failure))
    card = model.card
    log.info(
        "%s version %d (%s, %s) on %s, %d threads, at most %d images in a batch, loaded and proven "
        "in %.2f s",
        card.name,
        model.number,
        card.network,
        _accuracy(card),
        model.engine.info,
        settings.threads,
        model.engine.max_batch,
        model.seconds,
    )
    serving = ModelManager(store, model, settings, metrics, bucket)
    peers, statistics = Peers(serving, metrics, slot, send), Statistics(settings, memory)
    app = create_app(serving, settings, metrics, life, peers, statistics, tracing)
    keep_access_log(app, settings, log_handler)
    return app, peers, model


def _accuracy(card: ModelCard) -> str:
    """For the log."""
    if card.evaluation is None or card.data_set is None:
        return "imported, its accuracy is unknown"
    return (
        f"{card.evaluation.accuracy * 100:.2f} % of {card.data_set.test:,} test images of "
        f"{card.data_set.name} classified correctly"
    )


def _follow_limits(
    batcher: Batcher[BatchPredictions], model: Model, settings: Settings, metrics: Metrics
) -> None:
    """Have the batches and the queue that suit the model, which serves now."""
    batcher.set_limits(model.engine.max_batch, model.max_queue(settings))
    metrics.queue_limit.set(batcher.max_queue)


def create_app(
    serving: ModelManager,
    settings: Settings,
    metrics: Metrics,
    life: Life,
    peers: Peers,
    statistics: Statistics,
    tracing: RequestTracing | None,
) -> Gateway:
    """The ASGI application; its lifespan runs the batcher and follows the store."""
    offload = Offload(settings.max_queue, settings.max_decoding, settings.max_request_bytes)
    batcher = Batcher(
        partial(predict_batch, serving, metrics),
        max_batch=serving.model.engine.max_batch,
        max_wait=settings.max_wait,
        max_queue=serving.model.max_queue(settings),
        on_loop=lambda images: serving.model.engine.seconds(images) < ON_LOOP,
        more_to_come=offload.takes_all_cores,
        delivered=statistics.delivered,
    )
    access = Access(settings)
    secondary = SecondaryModel(serving, settings, access)
    integrity = IntegrityCheck(serving.store)
    jobs, run_reads = Jobs(settings, metrics), BlockingCalls("runs")
    feedback = FeedbackFolder(settings, metrics)
    gpus = Gpus(needed=serving.model.engine.provider != "cpu")
    metrics.also(gpus)
    metrics.queue_limit.set(batcher.max_queue)
    serving.when_swapped.append(lambda: _follow_limits(batcher, serving.model, settings, metrics))
    metrics.before_scrape.append(lambda: metrics.queue_depth.set(batcher.depth))
    metrics.when_failed.append(lambda seconds: statistics.failed(serving.model.number, seconds))

    life.when_draining += [serving.stop_loading, secondary.stop_loading]

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with tracing.running() if tracing is not None else nullcontext(), batcher:
            gpus.start()
            background = [
                asyncio.create_task(serving.follow(), name="follow the store"),
                asyncio.create_task(integrity.follow(), name="verify the versions"),
                asyncio.create_task(jobs.follow(), name="follow the jobs"),
                asyncio.create_task(feedback.maintain(), name="maintain the corrections"),
            ]
            yield
            for task in background:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        gpus.stop()
        for part in (serving, secondary, integrity, offload, jobs, run_reads):
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
    scrape = Scrape(metrics)
    app.include_router(routes(serving, batcher, settings, metrics, life, peers, scrape, jobs))
    app.include_router(admin_routes(serving, settings, peers, access.admin))
    store_reader = StoreReader(serving.store, serving.reads, integrity)
    app.include_router(catalog_routes(serving, secondary, store_reader, settings, life))
    app.include_router(file_routes(store_reader, settings))
    app.include_router(sample_routes(serving))
    streams = JobStreams(settings, life)
    app.include_router(retrain_routes(jobs, streams, store_reader, settings, access.admin))
    app.include_router(run_routes(run_reads, settings, access.admin))
    app.include_router(review_routes(feedback, settings, access.admin))
    app.include_router(live_routes(Live(serving, settings, metrics, life, peers)))
    add_pages(app)
    app.include_router(problem_pages())
    app.include_router(health_routes(life, batcher, app.version))
    app.include_router(model_routes(serving, batcher, settings, life, statistics))
    app.include_router(repository_routes(serving, settings, peers, store_reader, access.admin))
    app.openapi = Document(app, settings, serving)  # type: ignore[method-assign]
    predict = Predict(batched(lambda: serving.model, batcher, metrics), offload, settings)
    infer = Infer(serving, batcher, offload, settings, metrics)
    methods = Methods([predict, infer], app.router.routes)
    answer_with_problems(app, metrics, methods)
    begin_at_zero(metrics, (Predict.route, infer.route, PATH, VERSION_PATH, PredictByVersion.route))
    gateway = Gateway(
        [predict, infer],
        app,
        settings,
        metrics,
        life,
        access,
        methods,
        tracing,
        fast_only=[scrape, *probes(life, batcher)],
    )
    infer_by_path = partial(InferByPath, infer, partial(addressed_model, serving, settings))
    predict_by_version = partial(
        PredictByVersion, serving, secondary, batcher, offload, settings, metrics
    )
    for path, endpoint_of in (
        (PATH, infer_by_path),
        (VERSION_PATH, infer_by_path),
        (PredictByVersion.route, predict_by_version),
    ):
        application = AsgiByPath(path, endpoint_of, settings, metrics, gateway.budget)
        app.router.routes.append(Route(path, application, methods=["POST"]))
    correct = Correct(
        feedback, serving, batcher, offload, access, settings, metrics, gateway.budget
    )
    app.router.routes.append(Route(correct.path, correct, methods=["POST"]))
    return gateway

"""The wiring: which part gets which. Each decision lives in the module it names."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi_offline import FastAPIOffline

from contract.card import ONNX
from contract.store import Version
from service.batcher import Batcher
from service.engine import Engine, Pixels, Rows
from service.front import Front
from service.life import Life
from service.metrics import Metrics
from service.openapi import document
from service.predict import Predict
from service.routes import answer_with_problems, routes
from service.settings import Settings

DESCRIPTION = "Handwritten digits, read in batches by ONNX Runtime."


def load(version: Version, settings: Settings, metrics: Metrics) -> Engine:
    """A warm engine of `version`, announced to the metrics."""
    began = time.perf_counter()
    engine = Engine(version, provider=settings.provider, threads=settings.threads)
    engine.warm_up(settings.max_batch)
    metrics.model_load_seconds.set(time.perf_counter() - began)
    sha256 = version.card.files[ONNX].sha256
    labels = (version.card.name, str(version.number), sha256, engine.provider)
    metrics.model_info.labels(*labels).set(1)
    return engine


def create_app(
    version: Version, engine: Engine, settings: Settings, metrics: Metrics, life: Life
) -> Front:
    """The ASGI application that serves `engine`; its lifespan runs the batcher."""
    batch_seconds = metrics.inference_seconds.labels(engine.provider)

    def observed(pixels: Pixels) -> list[Rows]:
        """The engine as the batcher calls it: (n, 28, 28) -> n rows of probabilities (labels,)."""
        metrics.batch_size.observe(len(pixels))
        with batch_seconds.time():
            return list(engine(pixels).probabilities)

    batcher = Batcher(
        observed,
        max_batch=settings.max_batch,
        max_wait=settings.max_wait,
        max_queue=settings.max_queue,
    )
    metrics.queue_depth.set_function(lambda: batcher.depth)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with batcher:
            yield

    # FastAPIOffline is FastAPI whose /docs brings its own scripts and loads none from elsewhere.
    app = FastAPIOffline(
        title="digitserve", version="1", description=DESCRIPTION, lifespan=lifespan
    )
    app.include_router(routes(version, engine, batcher, settings, metrics, life))
    answer_with_problems(app)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    predict = Predict(batcher, version.card, version.number, settings, metrics)
    return Front({"/v1/predict": predict}, otherwise=app, metrics=metrics, life=life)

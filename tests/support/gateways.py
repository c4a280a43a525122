"""A gateway with one endpoint, /v1/predict, over a batcher that a test controls."""

from collections.abc import Callable, Sequence

from starlette.types import Receive, Scope, Send

from service.api.predictions import BatchPredictions
from service.api.v1.pending import batched
from service.api.v1.predict import Predict
from service.batching.batcher import Batcher
from service.http.auth import Access
from service.http.exchange import Endpoint
from service.http.gateway import Gateway
from service.http.methods import Methods
from service.http.offload import Offload
from service.lifecycle import Life
from service.models.loading import Model
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError(f"{scope['path']} is not hot")


def gateway_of(
    served: Callable[[], Model],
    batcher: Batcher[BatchPredictions],
    settings: Settings,
    *,
    fast_only: Sequence[Endpoint] = (),
) -> Gateway:
    """`served` returns the model that images are prepared for."""
    metrics = Metrics()
    predict = Predict(
        batched(served, batcher, metrics), Offload(8, settings.max_decoding), settings
    )
    access, methods = Access(settings), Methods([predict], [])
    return Gateway(
        [predict], nowhere, settings, metrics, Life(), access, methods, fast_only=fast_only
    )

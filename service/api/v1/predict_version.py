"""POST /v1/models/{name}/versions/{version}/predict: the answer of one version and of no other.

    the version that serves  --batcher, as /v1/predict-->  PendingPrediction
    any other that may be    --`secondary`, in a thread--> BatchPredictions --> JSON

Body, query, answer and refusals are those of /v1/predict. Pictures of the version that serves count
as its others do; those of another one only among the requests, by route: what people try out must
not move the numbers that alerts are made of.
"""

from collections.abc import Mapping
from time import perf_counter

from starlette.types import Receive, Scope, Send

from service.api.options import Options
from service.api.params import check_name, number_of
from service.api.predictions import BatchPredictions
from service.api.v1.comparison import SecondaryModel
from service.api.v1.pending import Predictor, PreviewUrls, batched, head_of, predictions_of
from service.api.v1.predict import Predict
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult
from service.http.asgi import AsgiEndpoint
from service.http.body import BufferBudget
from service.http.exchange import Exchange
from service.http.offload import Offload
from service.models.loading import Model
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Course
from service.tensors import Pixels


class PredictByVersion:
    """An ASGI application."""

    path = "/v1/models/{name}/versions/{version}/predict"

    def __init__(
        self,
        serving: ModelManager,
        secondary: SecondaryModel,
        batcher: Batcher[BatchPredictions],
        preparation: Offload,
        settings: Settings,
        metrics: Metrics,
        budget: BufferBudget,
    ) -> None:
        self._serving = serving
        self._batcher = batcher
        self._preparation = preparation
        self._metrics = metrics
        self._budget = budget
        self.secondary = secondary
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path_params"]
        scope["route"] = self  # as FastAPI's own routes do, for `gateway` to count by
        endpoint = _VersionEndpoint(self, asked["name"], asked["version"])
        await AsgiEndpoint(endpoint, self.settings, self._metrics, self._budget)(
            scope, receive, send
        )

    def predict(self, number: int) -> Predict:
        """By that version, in whichever way it is loaded now."""
        if number == self._serving.model.number:
            answering = batched(self._batcher, self._metrics, number)
        else:
            answering = beside(self.secondary, number)
        return Predict(answering, self._preparation, self.settings)


class _VersionEndpoint:
    """An endpoint that answers one request."""

    route, method = PredictByVersion.path, "POST"

    def __init__(self, by_version: PredictByVersion, name: str, version: str) -> None:
        self._by_version = by_version
        self._name = name
        self._version = version

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        check_name(self._name, self._by_version.settings.model)
        number = number_of(self._version)
        self._by_version.secondary.admit(number, headers)
        self._by_version.predict(number).admit(headers)

    def begin(self, exchange: Exchange) -> None:
        self._by_version.predict(number_of(self._version)).begin(exchange)


def beside(secondary: SecondaryModel, number: int) -> Predictor:
    """By a version that does not serve; a request's pictures are one model call of their own."""

    def ask(
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        decoded: float,
        preview_urls: PreviewUrls,
    ) -> None:
        asked = perf_counter()

        def work(model: Model) -> tuple[Course, bytes, bytes]:
            left = perf_counter()
            answers = model.engine(pixels)
            seconds = perf_counter() - left
            readings, waited = BatchPredictions(model, answers, seconds), left - asked
            run = BatchResult(readings, left, seconds)
            predictions = predictions_of(readings, range(len(pixels)), options, preview_urls)
            course = Course(decoded, waited, run, len(pixels))
            return course, head_of(decoded, waited, run), model.answer % predictions

        def then(done: tuple[Course, bytes, bytes]) -> None:
            exchange.course, head, content = done
            exchange.reply(200, head, content)

        secondary.do(exchange, number, work, then)

    return Predictor(lambda *_: None, ask)

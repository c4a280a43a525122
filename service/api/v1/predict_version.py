"""POST /v1/models/{name}/versions/{version}/predict: the prediction of one version and no other.

    the version that serves     --batcher, as /v1/predict--> PendingPrediction
    any other that is allowed   --SecondaryModel, a thread--> BatchPredictions --> JSON

Body, query, response and problems are those of /v1/predict. Images of the version that serves count
like its others; those of another version only in the metrics of requests, by route: comparisons
must not change the numbers that alerts depend on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

from preprocessing.preparation import Preparer
from service.api.options import Options
from service.api.params import check_name, number_of
from service.api.predictions import BatchPredictions, Replaced
from service.api.v1.comparison import SecondaryModel
from service.api.v1.pending import Predictor, PreviewUrls, batched, head_of, predictions_of
from service.api.v1.predict import Predict
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult
from service.http.exchange import Begin, Endpoint, Exchange
from service.http.offload import Offload
from service.models.loading import Model
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Timings
from service.tensors import Pixels


@dataclass
class PredictByVersion(Endpoint):
    """An endpoint for one request."""

    route = "/v1/models/{name}/versions/{version}/predict"
    method = "POST"

    serving: ModelManager
    secondary: SecondaryModel
    batcher: Batcher[BatchPredictions]
    offload: Offload
    settings: Settings
    metrics: Metrics
    name: str
    version: str

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        check_name(self.name, self.settings.model)
        number = number_of(self.version)
        self.secondary.admit(number, headers)
        self._predict(self.serving.model).admit(headers)

    def begin(self, exchange: Exchange) -> None:
        """Have that version answer: it is found or loaded first, and says how to prepare images."""
        number = number_of(self.version)
        if number == self.serving.model.number:
            self._predict(self.serving.model).begin(exchange)
        else:
            self.secondary.do(
                exchange,
                number,
                lambda model: model,
                lambda model: self._predict(model).begin(exchange),
            )

    def _predict(self, model: Model) -> Predict:
        if model is self.serving.model:
            predictor = batched(lambda: model, self.batcher, self.metrics, model.number)
        else:
            predictor = compared(self.secondary, model)
        return Predict(predictor, self.offload, self.settings)


def compared(secondary: SecondaryModel, compared: Model) -> Predictor:
    """By a version that does not serve; the images of a request are one model call of their own."""

    def submit(
        exchange: Exchange,
        options: Options,
        pixels: Pixels,
        prepare: Preparer,
        decoded: float,
        preview_urls: PreviewUrls,
        _: Begin,
    ) -> None:
        submitted = perf_counter()

        def work(model: Model) -> tuple[Timings, bytes, bytes]:
            if model.prepare is not prepare:
                raise Replaced(model)
            began = perf_counter()
            batch, waited = BatchPredictions.by(model, pixels), began - submitted
            run = BatchResult(batch, began, batch.seconds)
            predictions = predictions_of(batch, range(len(pixels)), options, preview_urls)
            timings = Timings(decoded, waited, run, len(pixels))
            return timings, head_of(decoded, waited, run), model.answer % predictions

        def then(response: tuple[Timings, bytes, bytes]) -> None:
            exchange.timings, head, content = response
            exchange.reply(200, head, content)

        secondary.do(exchange, compared.number, work, then, holds=pixels.nbytes)

    return Predictor(lambda: compared, lambda *_: None, submit)

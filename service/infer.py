"""POST /v2/models/<name>/infer: tensors in, tensors out, as the Open Inference Protocol has it.

The input is what the graph eats: nothing is decoded or centred here, and bytes go to the model as
they came. `inference` knows how it is all written.
"""

from collections.abc import Mapping

from contract.card import LOGITS, PROBABILITIES
from service.aside import Aside
from service.batcher import Batcher
from service.exchange import Exchange, Stage
from service.inference import HEADER_LENGTH, InferRequest, Pixels, header_length, read, written
from service.metrics import Metrics
from service.readings import Readings
from service.settings import Settings
from service.waiting import Run, Waiting

SHORT = 2**15  # bytes of JSON that are read in well under a millisecond


class Infer:
    def __init__(
        self, batcher: Batcher[Readings], aside: Aside, settings: Settings, metrics: Metrics
    ) -> None:
        self.route = f"/v2/models/{settings.model}/infer"
        self.batcher = batcher
        self._aside = aside
        self.metrics = metrics
        self._max_pictures = min(settings.max_pictures, settings.max_queue)

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Clients of this protocol send no Content-Type."""

    def begin(self, exchange: Exchange) -> None:
        body, given = exchange.body, exchange.headers.get(HEADER_LENGTH)
        length = len(body) if given is None else header_length(given, len(body))
        if length <= SHORT:
            self._ask(exchange, *read(body, length, given is not None, self._max_pictures))
        else:
            self._aside.do(
                exchange,
                lambda: read(body, length, given is not None, self._max_pictures),
                lambda asked: self._ask(exchange, *asked),
            )

    def _ask(self, exchange: Exchange, request: InferRequest, pixels: Pixels) -> None:
        deadline = exchange.deadline
        if request.parameters.timeout is not None:
            deadline = min(deadline, exchange.began + request.parameters.timeout / 1e6)
        asked = _Asked(self, exchange, request, len(pixels))
        asked.waiting = self.batcher.submit(asked, pixels, deadline=deadline)
        exchange.work = asked


class _Asked:
    """Pictures in the batcher, and their exchange."""

    __slots__ = ("_count", "_exchange", "_infer", "_request", "waiting")
    waiting: Waiting[Readings]

    def __init__(self, infer: Infer, exchange: Exchange, request: InferRequest, count: int) -> None:
        self._infer = infer
        self._exchange = exchange
        self._request = request
        self._count = count

    def answered(self, run: Run[Readings], first: int, waited: float) -> None:
        metrics, readings = self._infer.metrics, run.answers
        mine = slice(first, first + self._count)
        metrics.queue_wait_seconds.note(waited)
        labels = readings.model.labels
        metrics.predictions.note_all([labels[digit] for digit in readings.digits[mine]])
        metrics.confidence.note_all(readings.confidences[mine])
        tensors = {LOGITS: readings.logits[mine], PROBABILITIES: readings.probabilities[mine]}
        head, content = written(self._request, readings.model.named, tensors)
        timing = b"server-timing: queue;dur=%.3f, infer;dur=%.3f\r\nx-batch-size: %d\r\n" % (
            waited * 1e3,
            run.seconds * 1e3,
            len(readings),
        )
        self._exchange.reply(200, head + timing, content)

    def failed(self, error: Exception) -> None:
        self._exchange.fail(error)

    def cancel(self) -> Stage | None:
        return self._infer.batcher.cancel(self.waiting)

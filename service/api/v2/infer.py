"""POST /v2/models/<name>/infer: tensors in, tensors out, as the Open Inference Protocol has it.

    body --decompressed, `requests`--> (n, *shape) --batcher--> predictions --`responses`--> reply

The input is that of the graph: nothing is decoded or prepared here, and bytes go to the model
unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod

from service.api.params import most_images, not_serving
from service.api.predictions import BatchPredictions
from service.api.v2.requests import HEADER_LENGTH, InferRequest, header_length, read
from service.api.v2.responses import written
from service.batching.batcher import Batcher
from service.batching.interface import BatchResult
from service.errors import Problem
from service.http.compression import Coding, accepted, coding_of, compressed, decompressed
from service.http.exchange import Endpoint, Exchange
from service.http.offload import Offload, whole
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.content import DOCUMENT_TOO_LARGE
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.telemetry.request_record import Timings
from service.tensors import Pixels

PATH = "/v2/models/{model}/infer"
VERSION_PATH = "/v2/models/{model}/versions/{version}/infer"
SHORT = 2**15  # bytes of JSON that are read in well under a millisecond
READING = 24  # times the bytes of JSON that reading it takes: lists of its numbers, rows of three
MOST_JSON = 2**22  # bytes: larger tensors are sent in bytes
MOST_COMPRESSED = 1032  # times shorter than what it is decompressed to, at most
NUMBER = 8  # bytes of JSON that a number of an image takes at most: "255.0, " and some brackets
# Numbers, as many as images have labels together, that are written in that time: in JSON, and where
# they are compressed or the best are chosen.
FEW, FEW_TO_CHOOSE = 2**14, 2**10
WRITING = 64  # bytes that writing one of them takes: two outputs, their text, and its compression


class Infer(Endpoint):
    method = "POST"

    def __init__(
        self,
        serving: ModelManager,
        batcher: Batcher[BatchPredictions],
        offload: Offload,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._serving = serving
        self.route = f"/v2/models/{settings.model}/infer"
        self.batcher = batcher
        self.offload = offload
        self.metrics = metrics
        self._settings = settings

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Clients of this protocol send no Content-Type; Problem 415 for a coding not known."""
        coding_of(headers)

    def begin(self, exchange: Exchange) -> None:
        self.begin_for(exchange, None)

    def begin_for(self, exchange: Exchange, version: int | None) -> None:
        """Answer with this version only; None: with the version that serves."""
        body, given = exchange.body, exchange.headers.get(HEADER_LENGTH)
        coding = coding_of(exchange.headers)
        if coding is None:
            model = self._serving.model
            length = self._length(body, given, model)
            if length <= SHORT:
                request, pixels = read(body, length, given is not None, model, self._settings)
                self._submit(exchange, version, request, pixels)
                return
            memory = length * READING
        else:
            longest = min(self._settings.max_body, MOST_COMPRESSED * len(body))
            memory = longest + min(longest, MOST_JSON) * READING
        self.offload.do(
            exchange,
            whole(memory, lambda: self._read_on_thread(body, coding, given)),
            lambda request_and_pixels, _: self._submit(exchange, version, *request_and_pixels),
        )

    def _read_on_thread(
        self, body: bytes, coding: Coding | None, given: bytes | None
    ) -> tuple[InferRequest, Pixels]:
        """Called on a thread."""
        if coding is not None:
            body = decompressed(body, coding, self._settings.max_body)
        model = self._serving.model
        length = self._length(body, given, model)
        request, pixels = read(body, length, given is not None, model, self._settings)
        # A copy: the decompressed body counts in no budget, so it must not wait in the queue.
        return request, pixels if coding is None else pixels.copy()

    def _length(self, body: bytes, given: bytes | None, model: Model) -> int:
        """Bytes of JSON; Problem 413 if they are more than a request can need.

        Reading it holds the interpreter, 0.1 s a few megabytes of it.
        """
        length = len(body) if given is None else header_length(given, len(body))
        images = most_images(self._settings, model)
        most = SHORT + NUMBER * prod(model.shape) * images
        if length > most:
            raise Problem(
                DOCUMENT_TOO_LARGE,
                f"{length:,} bytes of JSON, and {images} images (DIGITSERVE_MAX_PICTURES) need at "
                f"most {most:,}",
            )
        if length > MOST_JSON:
            raise Problem(
                DOCUMENT_TOO_LARGE,
                f"{length:,} bytes of JSON, at most {MOST_JSON:,} are read; send large tensors in "
                "bytes: with binary_data_size and the header Inference-Header-Content-Length",
            )
        return length

    def _submit(
        self, exchange: Exchange, version: int | None, request: InferRequest, pixels: Pixels
    ) -> None:
        if request.parameters.timeout is not None:
            timeout = request.parameters.timeout / 1e6  # seconds
            exchange.deadline = min(exchange.deadline, exchange.began + timeout)
        pending = _PendingInference(self, exchange, version, request, len(pixels))
        waiting = self.batcher.submit(pending, pixels, deadline=exchange.deadline)
        exchange.cancel_work = lambda _: self.batcher.cancel(waiting)


class InferByPath(Endpoint):
    """The endpoint of one request by another path: with a version, or with an unknown model.

    A version is answered while it serves. If another one replaces it between a request and its
    batch, the request is refused too: no response comes from a version that was not requested.
    """

    method = "POST"

    def __init__(
        self,
        infer: Infer,
        lookup: Callable[[str, str | None], Model],
        model: str,
        version: str | None = None,
    ) -> None:
        """`lookup` returns the model of that name and version; raises Problem 404."""
        self.route = PATH if version is None else VERSION_PATH
        self._infer = infer
        self._model = partial(lookup, model, version)

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        self._model()
        self._infer.admit(headers)

    def begin(self, exchange: Exchange) -> None:
        self._infer.begin_for(exchange, self._model().number)


@dataclass(slots=True, eq=False)
class _PendingInference:
    """Images in the batcher, and their exchange."""

    infer: Infer
    exchange: Exchange
    version: int | None  # None: whichever answers
    request: InferRequest
    count: int  # of images

    def answered(self, run: BatchResult[BatchPredictions], first: int, waited: float) -> None:
        metrics, batch = self.infer.metrics, run.answers
        if self.version not in (None, batch.model.number):  # swapped while it waited
            name = batch.model.card.name
            self.exchange.fail(not_serving(name, self.version, batch.model.number))
            return
        self.exchange.timings = Timings(None, waited, run, self.count)
        mine = slice(first, first + self.count)
        metrics.queue_wait_seconds.record(waited)
        batch.record(metrics, range(first, first + self.count), None)
        timing = b"server-timing: queue;dur=%.3f, infer;dur=%.3f\r\nx-batch-size: %d\r\n" % (
            waited * 1e3,
            run.seconds * 1e3,
            len(batch),
        )
        coding = accepted(self.exchange.headers)
        numbers = self.count * len(batch.model.card.labels)
        if numbers > (FEW_TO_CHOOSE if coding or self._classifies() else FEW):
            self._write_on_thread(batch, mine, timing, coding)
        else:
            self.exchange.reply(200, *self._written(batch, mine, timing, coding))

    def _written(
        self, batch: BatchPredictions, mine: slice, timing: bytes, coding: Coding | None
    ) -> tuple[bytes, bytes]:
        head, content = written(self.request, batch, mine)
        if coding is not None:
            timing += b"content-encoding: %b\r\n" % coding.encode()
            content = compressed(content, coding)
        return head + timing, content

    def _write_on_thread(
        self, batch: BatchPredictions, mine: slice, timing: bytes, coding: Coding | None
    ) -> None:
        exchange, memory = self.exchange, WRITING * self.count * len(batch.model.card.labels)
        try:
            self.infer.offload.do(
                exchange,
                whole(memory, lambda: self._written(batch, mine, timing, coding)),
                lambda answer, _: exchange.reply(200, *answer),
            )
        except Problem as refused:
            exchange.fail(refused)

    def _classifies(self) -> bool:
        return any(output.parameters.classification for output in self.request.outputs)

    def failed(self, error: Exception) -> None:
        self.exchange.fail(error)

"""POST /v2/models/<name>/infer: tensors in, tensors out, as the Open Inference Protocol has it.

    JSON                          {"inputs": [{"name": "pixels", "data": [...]}]}
    JSON, then bytes              Inference-Header-Content-Length says where the JSON ends
    bytes                         that header is 0: one picture, 784 bytes

The input is what the graph eats, (n, 28, 28) UINT8, 0 = paper, 255 = ink: nothing is decoded or
centred here, and bytes go to the model as they came. Outputs are logits and probabilities, in
bytes or JSON, as the request asks. The protocol is described at
https://github.com/kserve/open-inference-protocol, its bytes in Triton's binary tensor extension.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from contract.card import INPUT, LOGITS, PROBABILITIES, SIDE
from service.batcher import Batcher, Run, Waiting
from service.exchange import Exchange, Stage
from service.metrics import Metrics
from service.problems import Problem, header_lines
from service.readings import Readings
from service.settings import Settings

Pixels = NDArray[np.uint8]  # (n, 28, 28)
HEADER_LENGTH = b"inference-header-content-length"
PIXELS = SIDE * SIDE  # bytes of a picture


class InputParameters(BaseModel):
    binary_data_size: int | None = None  # bytes


class Input(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    parameters: InputParameters = InputParameters()
    data: Any = None


class OutputParameters(BaseModel):
    binary_data: bool | None = None
    classification: int = 0


class Output(BaseModel):
    name: Literal["logits", "probabilities"]
    parameters: OutputParameters = OutputParameters()


class RequestParameters(BaseModel):
    binary_data_output: bool = False
    timeout: int | None = Field(default=None, gt=0)  # microseconds


class InferRequest(BaseModel):
    id: str | None = None
    parameters: RequestParameters = RequestParameters()
    inputs: list[Input] = Field(min_length=1, max_length=1)
    outputs: list[Output] = []


_RAW = InferRequest.model_construct(
    parameters=RequestParameters(binary_data_output=True), inputs=[], outputs=[], id=None
)


class Infer:
    def __init__(self, batcher: Batcher[Readings], settings: Settings, metrics: Metrics) -> None:
        self.route = f"/v2/models/{settings.model}/infer"
        self.batcher = batcher
        self.metrics = metrics
        self._max_pictures = min(settings.max_pictures, settings.max_queue)

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Clients of this protocol send no Content-Type."""

    def begin(self, exchange: Exchange) -> None:
        request, pixels = _read(exchange)
        if any(output.parameters.classification for output in request.outputs):
            raise Problem(400, "classification is not offered; ask for probabilities")
        if len(pixels) > self._max_pictures:
            raise Problem(
                413,
                f"{len(pixels)} pictures in one request, {self._max_pictures} are allowed "
                "(DIGITSERVE_MAX_PICTURES, and at most DIGITSERVE_MAX_QUEUE)",
            )
        deadline = exchange.deadline
        if request.parameters.timeout is not None:
            deadline = min(deadline, exchange.began + request.parameters.timeout / 1e6)
        asked = _Asked(self, exchange, request, len(pixels))
        asked.waiting = self.batcher.submit(asked, pixels, deadline=deadline)
        exchange.work = asked

    def refuse(self, problem: Problem, request_id: str) -> tuple[bytes, bytes]:
        """Clients of this protocol read the "error" of a document, and nothing else."""
        return header_lines(problem, "application/json"), orjson.dumps({"error": problem.detail})


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
        metrics, readings, mine = (
            self._infer.metrics,
            run.answers,
            slice(first, first + self._count),
        )
        metrics.queue_wait_seconds.note(waited)
        labels = readings.model.labels
        for digit, confidence in zip(
            readings.digits[mine], readings.confidences[mine], strict=True
        ):
            metrics.predictions.note(labels[digit])
            metrics.confidence.note(confidence)
        tensors = {LOGITS: readings.logits[mine], PROBABILITIES: readings.probabilities[mine]}
        head, content = _written(self._request, readings.model.named, tensors)
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


# ---- reading ----------------------------------------------------------------------------------


def _read(exchange: Exchange) -> tuple[InferRequest, Pixels]:
    """The request and its pictures; Problem 400 says what is wrong with it."""
    body, given = exchange.body, exchange.headers.get(HEADER_LENGTH)
    length = len(body) if given is None else _header_length(given, len(body))
    tail = memoryview(body)[length:]
    if given is not None and length == 0:
        return _RAW, _from_bytes(tail, [1, SIDE, SIDE], len(tail))
    try:
        request = InferRequest.model_validate(orjson.loads(body[:length]))
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the request is not JSON: {error}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise Problem(400, f"{place or 'the request'}: {wrong['msg']}") from error
    (tensor,) = request.inputs
    if tensor.name != INPUT or tensor.datatype != "UINT8":
        raise Problem(
            400,
            f"the input is {INPUT} of UINT8, not {tensor.name} of {tensor.datatype}",
        )
    shape, size = tensor.shape, tensor.parameters.binary_data_size
    if len(shape) != 3 or shape[0] < 1 or shape[1:] != [SIDE, SIDE]:
        raise Problem(400, f"{INPUT} has the shape [n, {SIDE}, {SIDE}], n at least 1, not {shape}")
    if size is not None:
        if given is None:
            raise Problem(400, "binary_data_size needs the header Inference-Header-Content-Length")
        return request, _from_bytes(tail, shape, size)
    if len(tail):
        raise Problem(400, f"{len(tail)} bytes after the JSON, and no input that wants them")
    return request, _from_json(tensor.data, shape)


def _header_length(given: bytes, most: int) -> int:
    length = int(given) if given.isdigit() else -1
    if not 0 <= length <= most:
        raise Problem(
            400,
            f"Inference-Header-Content-Length is {given.decode('latin-1')}, "
            f"the body has {most} bytes",
        )
    return length


def _from_bytes(tail: memoryview, shape: list[int], size: int) -> Pixels:
    expected = shape[0] * PIXELS
    if not size == len(tail) == expected:
        raise Problem(
            400,
            f"{INPUT} {shape} has {expected} bytes; binary_data_size says {size}, {len(tail)} came",
        )
    return np.frombuffer(tail, np.uint8).reshape(shape)


def _from_json(data: Any, shape: list[int]) -> Pixels:
    """`data` nested or flat."""
    try:
        numbers = np.asarray(data)
        whole = numbers.dtype.kind in "iu" or bool((numbers == np.floor(numbers)).all())
    except (TypeError, ValueError):
        whole, numbers = False, np.empty(0)
    if not whole or (numbers.size and not 0 <= numbers.min() <= numbers.max() <= 255):
        raise Problem(400, f"the data of {INPUT} must be whole numbers from 0 to 255")
    if numbers.size != shape[0] * PIXELS:
        raise Problem(400, f"{INPUT} {shape} has {shape[0] * PIXELS} numbers, {numbers.size} came")
    return numbers.astype(np.uint8).reshape(shape)


# ---- writing ----------------------------------------------------------------------------------


def _written(
    request: InferRequest, named: dict[str, str], tensors: dict[str, NDArray[np.float32]]
) -> tuple[bytes, bytes]:
    """Header lines and body of the answer."""
    outputs, blobs = [], []
    for output in request.outputs or [Output(name="logits"), Output(name="probabilities")]:
        tensor = tensors[output.name]
        described: dict[str, Any] = {
            "name": output.name,
            "datatype": "FP32",
            "shape": tensor.shape,
        }
        asked = output.parameters.binary_data
        if request.parameters.binary_data_output if asked is None else asked:
            blobs.append(tensor.astype("<f4", copy=False).tobytes())
            described["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            described["data"] = tensor.ravel()
        outputs.append(described)
    document = {"model_name": named["name"], "model_version": named["version"]}
    if request.id is not None:
        document["id"] = request.id
    header = orjson.dumps({**document, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not blobs:
        return b"content-type: application/json\r\n", header
    return (
        b"content-type: application/octet-stream\r\n"
        b"inference-header-content-length: %d\r\n" % len(header),
        b"".join([header, *blobs]),
    )

"""Requests of the Open Inference Protocol, in JSON and in bytes.

    JSON                          {"inputs": [{"name": "pixels", "data": [...]}]}
    JSON, then bytes              Inference-Header-Content-Length says where the JSON ends
    bytes                         that header is 0: the bytes of one image

https://github.com/kserve/open-inference-protocol describes the first, Triton's extensions the
others. There is one input, pixels UINT8 of the shape on the model card, (n, h, w) or (n, h, w, 3);
`responses` writes the outputs.
"""

from functools import lru_cache
from math import prod
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from contract.card import INPUT, ModelCard
from service.api.params import check_images
from service.api.schemas import example_image
from service.errors import Problem
from service.http.json_body import fitted, nullable, read_json
from service.models.loading import Model
from service.problem_types.content import BAD_DOCUMENT
from service.problem_types.prediction import BAD_BINARY_DATA, BAD_TENSOR, BATCH_TOO_LARGE
from service.settings import Settings
from service.tensors import Pixels

HEADER_LENGTH = b"inference-header-content-length"
SMALL = 512  # bytes of JSON that are parsed once: they hold no image
MOST_SHOWN = 4096  # numbers of an image in the document of the API
BYTES_SCHEMA = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then bytes of tensors; Inference-Header-Content-Length says where the "
    "JSON ends. With 0 a request is the bytes of one image alone.",
}


class Part(BaseModel):
    """A part of a request. Strict: no true for 1, no "28" for 28. Unknown fields are ignored, and
    null counts as absent where a field is optional.
    """

    model_config = ConfigDict(strict=True)


class InputParameters(Part):
    binary_data_size: int | None = None  # bytes


class Input(Part):
    name: str = Field(max_length=64, examples=[INPUT])
    shape: list[int] = Field(max_length=8, examples=[[1, 28, 28]])
    datatype: str = Field(max_length=16, examples=["UINT8"])
    parameters: Annotated[InputParameters, nullable(InputParameters)] = InputParameters()
    data: Any = Field(default=None, description="whole numbers from 0 to 255, nested or flat")


class OutputParameters(Part):
    binary_data: bool | None = None
    classification: int | None = Field(
        default=None, ge=1, description='the n best classes, as texts "value:index:label"'
    )


class Output(Part):
    name: Literal["logits", "probabilities"]
    parameters: Annotated[OutputParameters, nullable(OutputParameters)] = OutputParameters()


Outputs = Annotated[list[Output], Field(max_length=2)]


class RequestParameters(Part):
    binary_data_output: Annotated[bool, nullable(bool)] = False
    timeout: int | None = Field(default=None, gt=0, description="microseconds")
    priority: int | None = Field(
        default=None, ge=0, description="accepted, and of no effect: there is one queue for all"
    )


class InferRequest(Part):
    id: str | None = Field(default=None, max_length=256)
    parameters: Annotated[RequestParameters, nullable(RequestParameters)] = RequestParameters()
    inputs: list[Input] = Field(min_length=1, max_length=1)
    outputs: Annotated[Outputs, nullable(Outputs)] = []


_RAW = InferRequest.model_construct(
    parameters=RequestParameters(binary_data_output=True), inputs=[], outputs=[], id=None
)


def infer_content(card: ModelCard) -> dict[str, Any]:
    """For OpenAPI, the forms of a body; FastAPI adds the schema of the first."""
    content: dict[str, Any] = {"application/octet-stream": {"schema": BYTES_SCHEMA}}
    if prod(card.shape) <= MOST_SHOWN:
        pixels = {
            "name": INPUT,
            "shape": [1, *card.shape],
            "datatype": "UINT8",
            "data": example_image(card).ravel().tolist(),
        }
        content["application/json"] = {"examples": {"an image": {"value": {"inputs": [pixels]}}}}
    else:
        content["application/json"] = {}
    return content


def read(
    body: bytes, length: int, binary: bool, model: Model, settings: Settings
) -> tuple[InferRequest, Pixels]:
    """The request and its images; Problem says what is wrong with it.

    `length`: bytes of JSON, behind which, if `binary`, bytes of tensors follow.
    """
    tail = memoryview(body)[length:]
    if binary and length == 0:
        return _RAW, _from_bytes(tail, [1, *model.shape], len(tail))
    parse = _small_request if length <= SMALL else _request
    request = parse(body[:length], settings.max_json_depth)
    (tensor,) = request.inputs
    _check(tensor, model, settings)
    size = tensor.parameters.binary_data_size
    if size is not None:
        if not binary:
            raise Problem(
                BAD_BINARY_DATA, "binary_data_size needs the header Inference-Header-Content-Length"
            )
        if tensor.data is not None:
            raise Problem(
                BAD_BINARY_DATA, f"{INPUT} has data and a binary_data_size: only one of them"
            )
        return request, _from_bytes(tail, tensor.shape, size)
    if len(tail):
        raise Problem(
            BAD_BINARY_DATA, f"{len(tail)} bytes after the JSON, and no input that wants them"
        )
    return request, _from_json(tensor.data, tensor.shape)


def header_length(given: bytes, most: int) -> int:
    """Bytes of JSON in a body of `most`."""
    length = int(given) if given.isdigit() and len(given) < 16 else -1
    if not 0 <= length <= most:
        raise Problem(
            BAD_BINARY_DATA,
            f"Inference-Header-Content-Length is {given[:20].decode('latin-1')}, "
            f"the body has {most} bytes",
        )
    return length


def _request(content: bytes, max_depth: int) -> InferRequest:
    document = read_json(content, max_depth)
    # Before pydantic reports each of a million entries.
    for name, most in (("inputs", 1), ("outputs", 2)):
        entries = document.get(name) if isinstance(document, dict) else None
        if isinstance(entries, list) and len(entries) > most:
            raise Problem(BAD_DOCUMENT, f"{name}: at most {most}, {len(entries)} came")
    request = fitted(InferRequest, document, "the request")
    names = [output.name for output in request.outputs]
    if len(set(names)) < len(names):
        raise Problem(BAD_DOCUMENT, f"outputs: {names[0]} is requested twice")
    return request


# Clients that send tensors in bytes repeat the same JSON. The request is shared, so not changed.
_small_request = lru_cache(1024)(_request)


def _check(tensor: Input, model: Model, settings: Settings) -> None:
    if tensor.name != INPUT or tensor.datatype != "UINT8":
        raise Problem(
            BAD_TENSOR, f"the input is {INPUT} of UINT8, not {tensor.name} of {tensor.datatype}"
        )
    shape = tensor.shape
    if not shape or shape[0] < 1 or tuple(shape[1:]) != model.shape:
        sides = ", ".join(map(str, model.shape))
        raise Problem(BAD_TENSOR, f"{INPUT} has the shape [n, {sides}], n at least 1, not {shape}")
    # Triton's word for a batch that is too large, where 413 is a body's.
    check_images(shape[0], settings, model, BATCH_TOO_LARGE)


def _from_bytes(tail: memoryview, shape: list[int], size: int) -> Pixels:
    expected = prod(shape)
    if not size == len(tail) == expected:
        raise Problem(
            BAD_BINARY_DATA,
            f"{INPUT} {shape} has {expected} bytes; binary_data_size says {size}, {len(tail)} came",
        )
    return np.frombuffer(tail, np.uint8).reshape(shape)


def _from_json(data: Any, shape: list[int]) -> Pixels:
    """`data` nested as the shape says, or less, or flat."""
    expected = prod(shape)
    flat: list[Any] = data if isinstance(data, list) else []
    for _ in shape[1:]:
        nested = flat and len(flat) <= expected and isinstance(flat[0], list)
        if not nested or not all(isinstance(row, list) for row in flat):
            break
        flat = [number for row in flat for number in row]
    if len(flat) != expected:
        raise Problem(BAD_TENSOR, f"{INPUT} {shape} has {expected} numbers, {len(flat)} came")
    # Looked at here: numpy would make of one long text among them as many as there are numbers.
    if not {*map(type, flat)} <= {int, float}:
        raise _no_pixels()
    numbers = np.array(flat, np.float64)
    if not (0 <= numbers.min() <= numbers.max() <= 255 and (numbers == np.floor(numbers)).all()):
        raise _no_pixels()
    return numbers.astype(np.uint8).reshape(shape)


def _no_pixels() -> Problem:
    return Problem(BAD_TENSOR, f"the data of {INPUT} must be whole numbers from 0 to 255")

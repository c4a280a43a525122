"""Requests and answers of the Open Inference Protocol, in JSON and in bytes.

    JSON                          {"inputs": [{"name": "pixels", "data": [...]}]}
    JSON, then bytes              Inference-Header-Content-Length says where the JSON ends
    bytes                         that header is 0: one picture, 784 bytes

https://github.com/kserve/open-inference-protocol describes the first, Triton's binary tensor
extension the others. Pixels (n, 28, 28) UINT8 in; logits and probabilities (n, labels) FP32 out.
"""

from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from contract.card import INPUT, SIDE
from service.problems import Problem

Pixels = NDArray[np.uint8]  # (n, 28, 28)
HEADER_LENGTH = b"inference-header-content-length"
PIXELS = SIDE * SIDE  # bytes of a picture


class InputParameters(BaseModel):
    binary_data_size: int | None = None  # bytes


class Input(BaseModel):
    name: str = Field(max_length=64)
    shape: list[int] = Field(max_length=8)
    datatype: str = Field(max_length=16)
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
    id: str | None = Field(default=None, max_length=256)
    parameters: RequestParameters = RequestParameters()
    inputs: list[Input] = Field(min_length=1, max_length=1)
    outputs: list[Output] = Field(default=[], max_length=2)


_RAW = InferRequest.model_construct(
    parameters=RequestParameters(binary_data_output=True), inputs=[], outputs=[], id=None
)


# ---- reading ----------------------------------------------------------------------------------


def read(body: bytes, length: int, binary: bool, max_pictures: int) -> tuple[InferRequest, Pixels]:
    """The request and its pictures; Problem says what is wrong with it.

    `length`: bytes of JSON, behind which, if `binary`, bytes of tensors follow.
    """
    tail = memoryview(body)[length:]
    if binary and length == 0:
        return _RAW, _from_bytes(tail, [1, SIDE, SIDE], len(tail))
    request = _request(body[:length])
    (tensor,) = request.inputs
    if tensor.name != INPUT or tensor.datatype != "UINT8":
        raise Problem(
            400,
            f"the input is {INPUT} of UINT8, not {tensor.name} of {tensor.datatype}",
        )
    shape, size = tensor.shape, tensor.parameters.binary_data_size
    if len(shape) != 3 or shape[0] < 1 or shape[1:] != [SIDE, SIDE]:
        raise Problem(400, f"{INPUT} has the shape [n, {SIDE}, {SIDE}], n at least 1, not {shape}")
    if shape[0] > max_pictures:
        raise Problem(
            413,
            f"{shape[0]} pictures in one request, {max_pictures} are allowed "
            "(DIGITSERVE_MAX_PICTURES, and at most DIGITSERVE_MAX_QUEUE)",
        )
    if size is not None:
        if not binary:
            raise Problem(400, "binary_data_size needs the header Inference-Header-Content-Length")
        return request, _from_bytes(tail, shape, size)
    if len(tail):
        raise Problem(400, f"{len(tail)} bytes after the JSON, and no input that wants them")
    return request, _from_json(tensor.data, shape)


def _request(content: bytes) -> InferRequest:
    try:
        document = orjson.loads(content)
        # Before each of a million entries is found wrong, and told of.
        for name, most in (("inputs", 1), ("outputs", 2)):
            entries = document.get(name) if isinstance(document, dict) else None
            if isinstance(entries, list) and len(entries) > most:
                raise Problem(400, f"{name}: at most {most}, {len(entries)} came")
        request = InferRequest.model_validate(document)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the request is not JSON: {error}") from error
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise Problem(400, f"{place or 'the request'}: {wrong['msg']}") from error
    names = [output.name for output in request.outputs]
    if len(set(names)) < len(names):
        raise Problem(400, f"outputs: {names[0]} is asked for twice")
    if any(output.parameters.classification for output in request.outputs):
        raise Problem(400, "classification is not offered; ask for probabilities")
    return request


def header_length(given: bytes, most: int) -> int:
    length = int(given) if given.isdigit() and len(given) < 16 else -1
    if not 0 <= length <= most:
        raise Problem(
            400,
            f"Inference-Header-Content-Length is {given[:20].decode('latin-1')}, "
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
    expected = shape[0] * PIXELS
    flat: list[Any] = data if isinstance(data, list) else []
    while flat and isinstance(flat[0], list) and len(flat) <= expected:
        if not all(isinstance(row, list) for row in flat):
            break
        flat = [number for row in flat for number in row]
    if len(flat) != expected:
        raise Problem(400, f"{INPUT} {shape} has {expected} numbers, {len(flat)} came")
    # Looked at here: numpy would make of one long text among them as many as there are numbers.
    if not {*map(type, flat)} <= {int, float}:
        raise _no_pixels()
    numbers = np.array(flat, np.float64)
    if not (0 <= numbers.min() <= numbers.max() <= 255 and (numbers == np.floor(numbers)).all()):
        raise _no_pixels()
    return numbers.astype(np.uint8).reshape(shape)


def _no_pixels() -> Problem:
    return Problem(400, f"the data of {INPUT} must be whole numbers from 0 to 255")


# ---- writing ----------------------------------------------------------------------------------


def written(
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

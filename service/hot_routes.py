"""What the OpenAPI document says of the hot routes, which FastAPI does not serve.

A hot route is answered before FastAPI (see `front`), so FastAPI would not know of it. Here it is
described with FastAPI's own means, by functions that are never called: their signatures and their
response models are what the document needs.
"""

from base64 import b64encode
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import APIRouter, Header, Path, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from contract.card import INPUT, SIDE
from service.data_url import data_url, png_of
from service.exchange import SOONEST
from service.forms import PicturesRequest
from service.openapi import InferResponse, Predictions, errors, refusals
from service.options import Options
from service.predict import PICTURES
from service.v2.requests import InferRequest

_REFUSED = refusals(
    {
        400: "An empty body, no whole form or JSON, an unknown option, a timeout that is none",
        405: "Not POST",
        408: "The body did not arrive in time",
        413: "Body, picture or form too large, or too many pictures",
        415: "Content-Type is none that holds pictures, or the body is compressed",
        422: "Not a readable picture, or a blank one",
        503: "Overloaded, stopping, or the deadline cannot be met",
        504: "The deadline passed before the model answered",
    }
)
_INFER_REFUSED = errors(
    {
        400: "Not what the protocol or the model asks for, or too many pictures",
        404: "No such model, or another version serves",
        405: "Not POST",
        408: "The body did not arrive in time",
        413: "Body too large, also once it is decompressed",
        415: "Content-Encoding is neither gzip nor deflate",
        503: "Overloaded, stopping, or the deadline cannot be met",
        504: "The deadline passed before the model answered",
    }
)
_ANSWERED = {
    name: {"schema": {"type": kind}, "description": meaning}
    for name, kind, meaning in (
        ("X-Batch-Size", "integer", "pictures that shared the model call"),
        ("Server-Timing", "string", "decode, queue and infer, in milliseconds"),
    )
}


class _Headers(BaseModel):
    """Of either route. SkipJsonSchema: one that is left out is not null."""

    x_request_id: str | SkipJsonSchema[None] = Field(
        default=None, description="an id of your own, echoed, and logged if the request fails"
    )
    x_request_timeout: Annotated[float, Field(ge=SOONEST)] | SkipJsonSchema[None] = Field(
        default=None,
        description="seconds that you will wait, at most the service's own",
        examples=[2.5],
    )


class _InferHeaders(_Headers):
    inference_header_content_length: Annotated[int, Field(ge=0)] | SkipJsonSchema[None] = Field(
        default=None,
        description="bytes of the JSON, where bytes of tensors follow it; 0: no JSON",
    )
    content_encoding: Literal["gzip", "deflate", "identity"] | SkipJsonSchema[None] = Field(
        default=None, description="how the whole body is compressed"
    )


_BYTES = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then bytes of tensors; Inference-Header-Content-Length says where the "
    "JSON ends. With 0 a request is a picture's 784 bytes alone.",
}
_FILE = {"type": "string", "format": "binary", "description": "a picture file"}


def _seven() -> NDArray[np.uint8]:
    """A digit (28, 28), for whoever tries a route from the document."""
    sheet = np.zeros((28, 28), np.uint8)
    corners = np.array([[7, 6], [20, 6], [12, 22]], np.int32)
    cv2.polylines(sheet, [corners], isClosed=False, color=255, thickness=2)
    return sheet


def _bodies() -> dict[str, Any]:
    """Every form that the body of /v1/predict may have."""
    image = b64encode(png_of(_seven())).decode()
    text = {"type": "string", "format": "byte", "minLength": 1, "description": "base64, data URL"}
    alone = {
        "type": "object",
        "properties": {"image": text},
        "required": ["image"],
        "additionalProperties": False,
    }
    several = {
        "type": "object",
        "properties": {"images": {"type": "array", "items": text, "minItems": 1}},
        "required": ["images"],
        "additionalProperties": False,
    }
    form = {
        "type": "object",
        "description": "files under any name",
        "properties": {"image": {"type": "array", "items": _FILE, "minItems": 1}},
        "required": ["image"],
        "additionalProperties": False,
    }
    return {
        **{kind.decode(): {"schema": _FILE} for kind in sorted(PICTURES) if kind},
        "multipart/form-data": {"schema": form},
        "application/json": {
            "schema": {"title": PicturesRequest.__name__, "oneOf": [alone, several]},
            "examples": {
                "one": {"value": {"image": image}},
                "several": {"value": {"images": [image, data_url(png_of(_seven()))]}},
            },
        },
    }


def _tensors() -> dict[str, Any]:
    """The two forms that the body of infer may have; FastAPI knows the schema of the first."""
    pixels = {
        "name": INPUT,
        "shape": [1, SIDE, SIDE],
        "datatype": "UINT8",
        "data": _seven().ravel().tolist(),
    }
    return {
        "application/json": {"examples": {"a seven": {"value": {"inputs": [pixels]}}}},
        "application/octet-stream": {"schema": _BYTES},
    }


described = APIRouter()


@described.post(
    "/v1/predict",
    operation_id="predict",
    summary="Say which digit is on a picture",
    description="Pictures of one digit each, dark on light or light on dark, of any size: a file "
    "as the body, files of a form, or JSON with base64.",
    tags=["prediction"],
    response_model=Predictions,
    response_model_exclude_none=True,
    responses={200: {"headers": _ANSWERED}, **_REFUSED},
    openapi_extra={"requestBody": {"required": True, "content": _bodies()}},
)
def _predict(
    options: Annotated[Options, Query()], headers: Annotated[_Headers, Header()]
) -> None: ...


_INFERS: dict[str, Any] = {
    "description": (
        "The Open Inference Protocol, JSON or with Triton's binary tensor extension. `pixels` is "
        "UINT8, [n, 28, 28], 0 = paper, 255 = ink, centred as MNIST is. Bodies may be compressed "
        "with gzip or deflate, either way."
    ),
    "tags": ["prediction"],
    "response_model": InferResponse,
    "response_model_exclude_none": True,
    "responses": {
        200: {
            "headers": {
                **_ANSWERED,
                "Inference-Header-Content-Length": {
                    "schema": {"type": "integer"},
                    "description": "bytes of the JSON, where bytes of tensors follow it",
                },
            },
            "content": {"application/octet-stream": {"schema": _BYTES}},
        },
        **_INFER_REFUSED,
    },
    "openapi_extra": {"requestBody": {"content": _tensors()}},
}


@described.post(
    "/v2/models/{model}/infer",
    operation_id="infer",
    summary="Logits and probabilities of pixels",
    **_INFERS,
)
def _infer(
    model: Annotated[str, Path(description="its name")],
    request: InferRequest,
    headers: Annotated[_InferHeaders, Header()],
) -> None: ...


@described.post(
    "/v2/models/{model}/versions/{version}/infer",
    operation_id="infer_version",
    summary="The same, by that version and no other",
    **_INFERS,
)
def _infer_version(
    model: Annotated[str, Path(description="its name")],
    version: Annotated[str, Path(description="the number of the one that serves")],
    request: InferRequest,
    headers: Annotated[_InferHeaders, Header()],
) -> None: ...

"""The fast endpoints in the OpenAPI document, which FastAPI does not serve and so does not know.

They are described with FastAPI's own means, by functions that are never called: their signatures
and response models are all that the document needs. What a body may be stands beside its parser, in
`v1.content_types` and `v2.requests`.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from service.api.options import Options
from service.api.schemas import InferResponse, Predictions, refusals
from service.api.switching import NO_MODEL_OR_VERSION, NOT_ADMIN
from service.api.v1.content_types import predict_content
from service.api.v1.predict import Predict
from service.api.v1.predict_version import PredictByVersion
from service.api.v2.infer import PATH, VERSION_PATH
from service.api.v2.requests import BYTES_SCHEMA, InferRequest, infer_content
from service.http.exchange import SOONEST
from service.problem_types import content, http, operation, prediction, versions

_ANY_BODY = (
    content.BODY_TIMEOUT, content.BODY_TOO_LARGE, content.BUFFER_FULL, content.UNSUPPORTED_ENCODING,
    http.METHOD_NOT_ALLOWED, operation.STOPPING, prediction.BAD_TIMEOUT, prediction.DEADLINE_PASSED,
    prediction.DEADLINE_UNREACHABLE, prediction.QUEUE_FULL, content.BAD_JSON, content.JSON_TOO_DEEP,
    content.BAD_DOCUMENT, content.DOCUMENT_TOO_LARGE,
)  # fmt: skip
_PREDICT_PROBLEMS = (
    *_ANY_BODY, content.BAD_BASE64, content.BAD_FORM, content.EMPTY_BODY,
    content.MEDIA_TYPE_MISMATCH, content.PART_HEAD_TOO_LARGE, content.TOO_MANY_PARTS,
    content.UNSUPPORTED_MEDIA_TYPE, prediction.BAD_OPTION, prediction.BLANK_PICTURE,
    prediction.NOT_A_PICTURE, prediction.TOO_MANY_PICTURES, prediction.TOO_MANY_PIXELS,
)  # fmt: skip
_VERSION_PROBLEMS = (
    *NOT_ADMIN, *NO_MODEL_OR_VERSION, versions.NOT_ENOUGH_MEMORY, versions.STORE_UNREADABLE,
    versions.VERSION_FAILED_CHECK, versions.VERSION_REPLACED,
)  # fmt: skip
_INFER_PROBLEMS = (
    *_ANY_BODY, content.BAD_COMPRESSION, prediction.BAD_BINARY_DATA, prediction.BAD_TENSOR,
    prediction.BATCH_TOO_LARGE, versions.NO_SUCH_MODEL, versions.VERSION_NOT_SERVING,
)  # fmt: skip


def _header(kind: str, meaning: str) -> dict[str, Any]:
    return {"schema": {"type": kind}, "description": meaning}


_RESPONSE_HEADERS = {
    "X-Batch-Size": _header("integer", "pictures that shared the model call"),
    "Server-Timing": _header("string", "decode, queue and infer, in milliseconds"),
}
_JSON_LENGTH = _header("integer", "bytes of the JSON, where bytes of tensors follow it")


class _Headers(BaseModel):
    """Of any request. SkipJsonSchema: a header that is left out is not null."""

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


described = APIRouter(tags=["prediction"])
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": predict_content()}}
_PREDICTS: dict[str, Any] = {
    "response_model": Predictions,
    "response_model_exclude_none": True,
}
_INFERS: dict[str, Any] = {
    "description": (
        "The Open Inference Protocol, JSON or with Triton's binary tensor extension. `pixels` is "
        "UINT8, [n, 28, 28], 0 = paper, 255 = ink, centred as MNIST is. Bodies may be compressed "
        "with gzip or deflate, either way."
    ),
    "response_model": InferResponse,
    "response_model_exclude_none": True,
    "responses": {
        200: {
            "headers": {**_RESPONSE_HEADERS, "Inference-Header-Content-Length": _JSON_LENGTH},
            "content": {"application/octet-stream": {"schema": BYTES_SCHEMA}},
        },
        **refusals(*_INFER_PROBLEMS),
    },
    "openapi_extra": {"requestBody": {"content": infer_content()}},
}
_Query = Annotated[Options, Query()]
_Name = Annotated[str, Path(description="its name")]


@described.post(
    Predict.route,
    operation_id="predict",
    summary="Classify digit images",
    description="Pictures of one digit each, dark on light or light on dark, of any size: a file "
    "as the body, files of a form, or JSON with base64. The first bytes of a file "
    "count, whichever image type the Content-Type names.",
    responses={200: {"headers": _RESPONSE_HEADERS}, **refusals(*_PREDICT_PROBLEMS)},
    openapi_extra=_BODY,
    **_PREDICTS,
)
def _predict(options: _Query, headers: Annotated[_Headers, Header()]) -> None: ...


@described.post(
    PredictByVersion.route,
    operation_id="predict_version",
    summary="Classify digit images with a given version",
    description="For comparing versions. The one that serves and the one before it, while it is "
    "warm, need no more than /v1/predict does; any other is loaded first, which takes the admin "
    "token.",
    responses={
        200: {"headers": _RESPONSE_HEADERS},
        **refusals(*_PREDICT_PROBLEMS, *_VERSION_PROBLEMS),
    },
    # {}: without the token, of the versions that are loaded anyway.
    openapi_extra=_BODY | {"security": [{}, {"AdminToken": []}]},
    **_PREDICTS,
)
def _predict_version(
    name: str,
    version: Annotated[str, Path(description="its number")],
    options: _Query,
    headers: Annotated[_Headers, Header()],
) -> None: ...


@described.post(PATH, operation_id="infer", summary="Logits and probabilities of pixels", **_INFERS)
def _infer(
    model: _Name, request: InferRequest, headers: Annotated[_InferHeaders, Header()]
) -> None: ...


@described.post(
    VERSION_PATH,
    operation_id="infer_version",
    summary="Logits and probabilities of pixels, by a given version",
    **_INFERS,
)
def _infer_version(
    model: _Name,
    version: Annotated[str, Path(description="the number of the one that serves")],
    request: InferRequest,
    headers: Annotated[_InferHeaders, Header()],
) -> None: ...

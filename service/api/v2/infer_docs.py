"""What the OpenAPI document says of inference under /v2: see `v1.predict_docs`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from contract.card import INPUT, SIDE
from service.api.schemas import InferResponse, refusals
from service.api.v1.predict_docs import ANSWERED, ANY_BODY, JSON_BODY, Headers, a_seven
from service.api.v2.requests import InferRequest
from service.problem_types import content, prediction, versions

_INFER_REFUSED = refusals(
    *ANY_BODY,
    *JSON_BODY,
    content.BAD_COMPRESSION,
    prediction.BAD_BINARY_DATA,
    prediction.BAD_TENSOR,
    prediction.BATCH_TOO_LARGE,
    versions.NO_SUCH_MODEL,
    versions.VERSION_NOT_SERVING,
)


class _InferHeaders(Headers):
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


def _tensors() -> dict[str, Any]:
    """The two forms that the body of infer may have; FastAPI knows the schema of the first."""
    pixels = {
        "name": INPUT,
        "shape": [1, SIDE, SIDE],
        "datatype": "UINT8",
        "data": a_seven().ravel().tolist(),
    }
    return {
        "application/json": {"examples": {"a seven": {"value": {"inputs": [pixels]}}}},
        "application/octet-stream": {"schema": _BYTES},
    }


described = APIRouter()

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
                **ANSWERED,
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

"""The OpenAPI document of what FastAPI serves, and of the hot routes that it does not.

A hot route is answered before FastAPI (see `front`), so FastAPI would not know of it. Here it is
described with FastAPI's own means, by a function that is never called: its signature and its
response model are what the document needs.
"""

from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.inference import InferRequest
from service.predict import PICTURES
from service.problems import CONTENT_TYPE


class ServedModel(BaseModel):
    name: str
    version: str


class Prediction(BaseModel):
    digit: int = Field(ge=0, description="index of the likeliest class")
    label: str = Field(description="its name")
    confidence: float = Field(ge=0, le=1, description="its probability")
    probabilities: list[float] = Field(description="of every class, in order")


class Predictions(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": {"name": "digits", "version": "1"},
                "predictions": [
                    {
                        "digit": 7,
                        "label": "7",
                        "confidence": 0.9987,
                        "probabilities": [0, 0, 0.0009, 0.0002, 0, 0, 0, 0.9987, 0, 0.0002],
                    }
                ],
            }
        }
    )

    model: ServedModel
    predictions: list[Prediction] = Field(description="one a picture, in order")


class ProblemDetails(BaseModel):
    """RFC 9457."""

    title: str
    status: int
    detail: str = Field(description="what went wrong and what to do, for a person")
    request_id: str


class InferOutput(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = Field(None, description="binary_data_size, if in bytes")
    data: list[float | str] | None = Field(
        None, description="flat; texts where classes were asked for"
    )


class InferResponse(BaseModel):
    model_name: str
    model_version: str
    id: str | None = Field(None, description="yours")
    outputs: list[InferOutput]


class InferError(BaseModel):
    error: str


def refusals(meanings: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """What FastAPI is told of answers that are problem documents."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": meaning, "content": {CONTENT_TYPE: {"schema": schema}}}
        for status, meaning in meanings.items()
    }


_REFUSED = refusals(
    {
        400: "Empty body, or a timeout that is no number",
        405: "Not POST",
        408: "The body did not arrive in time",
        413: "Body or picture too large",
        415: "Content-Type is no picture's",
        422: "Not a readable picture, or a blank one",
        503: "Overloaded, stopping, or the deadline cannot be met; Retry-After: when to come back",
        504: "The deadline passed before the model answered",
    }
)
_INFER_REFUSED: dict[int | str, str] = {
    400: "Not what the protocol or the model asks for",
    404: "No such model, or another version serves",
    405: "Not POST",
    408: "The body did not arrive in time",
    413: "Body too large",
    415: "Content-Encoding is neither gzip nor deflate",
    503: "Overloaded, stopping, or the deadline cannot be met",
    504: "The deadline passed before the model answered",
    "default": "A mistake of ours",
}
_HEADERS = {
    name: {"schema": {"type": kind}, "description": meaning}
    for name, kind, meaning in (
        ("X-Request-ID", "string", "yours, or one made up"),
        ("X-Batch-Size", "integer", "pictures that shared the model call"),
        ("Server-Timing", "string", "decode, queue and infer, in milliseconds"),
    )
}
_Timeout = Annotated[
    float | None, Header(gt=0, description="seconds that you will wait, at most the service's own")
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}

_documented = APIRouter()


@_documented.post(
    "/v1/predict",
    operation_id="predict",
    summary="Say which digit is on a picture",
    description="Any picture of one digit, dark on light or light on dark, of any size.",
    tags=["prediction"],
    response_model=Predictions,
    responses={200: {"headers": _HEADERS}, **_REFUSED},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind.decode(): _BINARY for kind in sorted(PICTURES) if kind},
        }
    },
)
def _predict(
    x_request_id: Annotated[
        str | None,
        Header(description="an id of your own, echoed, and logged if it fails"),
    ] = None,
    x_request_timeout: _Timeout = None,
) -> None: ...


@_documented.post(
    "/v2/models/{model}/infer",
    operation_id="infer",
    summary="Logits and probabilities of pixels",
    description=(
        "The Open Inference Protocol, JSON or with Triton's binary tensor extension. `pixels` is "
        "UINT8, [n, 28, 28], 0 = paper, 255 = ink, centred as MNIST is. Bodies may be compressed "
        "with gzip or deflate, either way."
    ),
    tags=["prediction"],
    response_model=InferResponse,
    response_model_exclude_none=True,
    responses={
        code: {"description": meaning, "model": InferError}
        for code, meaning in _INFER_REFUSED.items()
    },
)
def _infer(
    request: InferRequest,
    inference_header_content_length: Annotated[
        int | None,
        Header(ge=0, description="bytes of the JSON, where bytes of tensors follow it; 0: no JSON"),
    ] = None,
    x_request_timeout: _Timeout = None,
) -> None: ...


@_documented.post(
    "/v2/models/{model}/versions/{version}/infer",
    operation_id="infer_version",
    summary="The same, by that version and no other",
    tags=["prediction"],
    response_model=InferResponse,
    response_model_exclude_none=True,
    responses={
        code: {"description": meaning, "model": InferError}
        for code, meaning in _INFER_REFUSED.items()
    },
)
def _infer_version(
    request: InferRequest,
    inference_header_content_length: Annotated[int | None, Header(ge=0)] = None,
    x_request_timeout: _Timeout = None,
) -> None: ...


def document(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=[*_documented.routes, *app.routes],
        )
        schemas = schema["components"]["schemas"]
        _drop_fastapis_refusals(schema["paths"], schemas)
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema


def _drop_fastapis_refusals(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """FastAPI documents a 422 of its own wherever there is a parameter; ours are problems."""
    for answers in (each["responses"] for path in paths.values() for each in path.values()):
        if "application/json" in answers.get("422", {}).get("content", {}):
            del answers["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)

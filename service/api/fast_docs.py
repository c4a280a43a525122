"""The fast endpoints in the OpenAPI document, which FastAPI does not serve and so does not know.

They are described with FastAPI's own means, by functions that are never called: their signatures
and response models are all that the document needs. What a body may be stands beside its parser, in
`v1.content_types` and `v2.requests`.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from starlette.routing import BaseRoute

from contract.card import ModelCard
from service.api.options import Options
from service.api.schemas import InferResponse, Predictions, example_answer, refusals
from service.api.switching import NO_MODEL_OR_VERSION, NOT_ADMIN
from service.api.v1.content_types import correction_content, predict_content
from service.api.v1.feedback import ROUTE, Added, CorrectionOptions
from service.api.v1.predict import Predict
from service.api.v1.predict_version import PredictByVersion
from service.api.v2.infer import PATH, VERSION_PATH
from service.api.v2.requests import BYTES_SCHEMA, InferRequest, infer_content
from service.http.exchange import SOONEST
from service.problem_types import content, feedback, http, operation, prediction, versions

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
    versions.VERSION_REPLACED,
)  # fmt: skip
_CORRECTION_PROBLEMS = (
    *_PREDICT_PROBLEMS, feedback.FEEDBACK_OFF, feedback.UNKNOWN_LABEL,
    feedback.TOO_MANY_CORRECTIONS, feedback.FEEDBACK_UNAVAILABLE, feedback.FEEDBACK_FULL,
    feedback.FEEDBACK_DISK_FULL,
)  # fmt: skip
_VERSION_PROBLEMS = (
    *NOT_ADMIN, *NO_MODEL_OR_VERSION, versions.NOT_ENOUGH_MEMORY, versions.STORE_UNREADABLE,
    versions.VERSION_FAILED_CHECK,
)  # fmt: skip
_INFER_PROBLEMS = (
    *_ANY_BODY, content.BAD_COMPRESSION, prediction.BAD_BINARY_DATA, prediction.BAD_TENSOR,
    prediction.BATCH_TOO_LARGE, versions.NO_SUCH_MODEL, versions.VERSION_NOT_SERVING,
    versions.VERSION_REPLACED,
)  # fmt: skip


def _header(kind: str, meaning: str) -> dict[str, Any]:
    return {"schema": {"type": kind}, "description": meaning}


_RESPONSE_HEADERS = {
    "X-Batch-Size": _header("integer", "images that shared the model call"),
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


_Query = Annotated[Options, Query()]
_Name = Annotated[str, Path(description="its name")]
_CHARACTERS = (
    "Images of one character each, dark on light or light on dark, of any size: a file as the "
    "body, files of a form, or JSON with base64. The first bytes of a file count, whichever image "
    "type the Content-Type names."
)
_IMAGES = (
    "Images of any size and colour mode, which are prepared as the model card says: a file as the "
    "body, files of a form, or JSON with base64. The first bytes of a file count, whichever image "
    "type the Content-Type names."
)


def fast_routes(card: ModelCard) -> list[BaseRoute]:
    """What the document says of the fast endpoints while the model with that card serves."""
    router = APIRouter(tags=["prediction"])
    _describe_predictions(router, card)
    _describe_inference(router, card)
    _describe_corrections(router, card)
    return router.routes


def _describe_predictions(router: APIRouter, card: ModelCard) -> None:
    body = {"requestBody": {"required": True, "content": predict_content(card)}}
    answer = {
        "headers": _RESPONSE_HEADERS,
        "content": {"application/json": {"example": example_answer(card)}},
    }

    @router.post(
        Predict.route,
        operation_id="predict",
        summary=f"Classify images into {len(card.labels)} classes",
        description=_CHARACTERS if card.preparation.kind == "digit" else _IMAGES,
        response_model=Predictions,
        responses={200: answer, **refusals(*_PREDICT_PROBLEMS)},
        openapi_extra=body,
    )
    def _predict(options: _Query, headers: Annotated[_Headers, Header()]) -> None: ...

    @router.post(
        PredictByVersion.route,
        operation_id="predict_version",
        summary="Classify images with a given version",
        description="For comparing versions. The one that serves and the one before it, while it "
        "is warm, need no more than /v1/predict does; any other is loaded first, which takes the "
        "admin token.",
        response_model=Predictions,
        responses={200: answer, **refusals(*_PREDICT_PROBLEMS, *_VERSION_PROBLEMS)},
        # {}: without the token, of the versions that are loaded anyway.
        openapi_extra=body | {"security": [{}, {"AdminToken": []}]},
    )
    def _predict_version(
        name: str,
        version: Annotated[str, Path(description="its number")],
        options: _Query,
        headers: Annotated[_Headers, Header()],
    ) -> None: ...


def _describe_inference(router: APIRouter, card: ModelCard) -> None:
    shape = ", ".join(map(str, card.shape))
    meaning = (
        "0 = paper, 255 = ink, centred as MNIST is"
        if card.preparation.kind == "digit"
        else f"prepared as the model card says ({card.preparation.kind})"
    )
    infers: dict[str, Any] = {
        "description": (
            "The Open Inference Protocol, JSON or with Triton's binary tensor extension. `pixels` "
            f"is UINT8, [n, {shape}], {meaning}. Bodies may be compressed with gzip or deflate, "
            "either way."
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
        "openapi_extra": {"requestBody": {"content": infer_content(card)}},
    }

    @router.post(PATH, operation_id="infer", summary="Logits and probabilities of pixels", **infers)
    def _infer(
        model: _Name, request: InferRequest, headers: Annotated[_InferHeaders, Header()]
    ) -> None: ...

    @router.post(
        VERSION_PATH,
        operation_id="infer_version",
        summary="Logits and probabilities of pixels, by a given version",
        **infers,
    )
    def _infer_version(
        model: _Name,
        version: Annotated[str, Path(description="the number of the one that serves")],
        request: InferRequest,
        headers: Annotated[_InferHeaders, Header()],
    ) -> None: ...


def _describe_corrections(router: APIRouter, card: ModelCard) -> None:
    location = {"Location": _header("string", "of the image, for the review")}

    @router.post(
        ROUTE,
        operation_id="correct",
        tags=["corrections"],
        summary="Say what an image shows, for the next training",
        description="The image is prepared and kept as the network saw it. A body that is an image "
        "file has its label in the query, any other as a field.",
        status_code=201,
        response_model=Added,
        responses={
            200: {"model": Added, "description": "It was sent before.", "headers": location},
            201: {"headers": location},
            **refusals(*_CORRECTION_PROBLEMS),
        },
        openapi_extra={"requestBody": {"required": True, "content": correction_content(card)}},
    )
    def _correct(
        options: Annotated[CorrectionOptions, Query()], headers: Annotated[_Headers, Header()]
    ) -> None: ...

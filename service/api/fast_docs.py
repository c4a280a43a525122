"""What the OpenAPI document says of predictions, which FastAPI does not serve.

A fast route is answered before FastAPI (see `gateway`), so FastAPI would not know of it. Here it is
described with FastAPI's own means, by functions that are never called: their signatures and their
response models are what the document needs. Those of /v2 are in `v2.described`.
"""

from base64 import b64encode
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Header, Path, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from service.api.options import Options
from service.api.schemas import Predictions, refusals
from service.api.v1.admin import NO_MODEL_OR_VERSION, NOT_ADMIN
from service.api.v1.bodies import PicturesRequest
from service.api.v1.content_types import MULTIPART, PICTURES, URLENCODED
from service.api.v1.predict_version import PredictByVersion
from service.data_url import data_url, png_of
from service.http.exchange import SOONEST
from service.problem_types import content, http, operation, prediction, versions

# Of every prediction, whatever its body is.
ANY_BODY = (
    content.BODY_TIMEOUT,
    content.BODY_TOO_LARGE,
    content.BUFFER_FULL,
    content.UNSUPPORTED_ENCODING,
    http.METHOD_NOT_ALLOWED,
    operation.STOPPING,
    prediction.BAD_TIMEOUT,
    prediction.DEADLINE_PASSED,
    prediction.DEADLINE_UNREACHABLE,
    prediction.QUEUE_FULL,
)
JSON_BODY = (
    content.BAD_JSON,
    content.JSON_TOO_DEEP,
    content.BAD_DOCUMENT,
    content.DOCUMENT_TOO_LARGE,
)
_REFUSALS = (
    *ANY_BODY,
    *JSON_BODY,
    content.BAD_BASE64,
    content.BAD_FORM,
    content.EMPTY_BODY,
    content.MEDIA_TYPE_MISMATCH,
    content.PART_HEAD_TOO_LARGE,
    content.TOO_MANY_PARTS,
    content.UNSUPPORTED_MEDIA_TYPE,
    prediction.BAD_OPTION,
    prediction.BLANK_PICTURE,
    prediction.NOT_A_PICTURE,
    prediction.TOO_MANY_PICTURES,
    prediction.TOO_MANY_PIXELS,
)
_VERSION_REFUSALS = (
    *NOT_ADMIN,
    *NO_MODEL_OR_VERSION,
    versions.NOT_ENOUGH_MEMORY,
    versions.STORE_UNREADABLE,
    versions.VERSION_FAILED_CHECK,
    versions.VERSION_REPLACED,
)
ANSWERED = {
    name: {"schema": {"type": kind}, "description": meaning}
    for name, kind, meaning in (
        ("X-Batch-Size", "integer", "pictures that shared the model call"),
        ("Server-Timing", "string", "decode, queue and infer, in milliseconds"),
    )
}


class Headers(BaseModel):
    """Of any of them. SkipJsonSchema: one that is left out is not null."""

    x_request_id: str | SkipJsonSchema[None] = Field(
        default=None, description="an id of your own, echoed, and logged if the request fails"
    )
    x_request_timeout: Annotated[float, Field(ge=SOONEST)] | SkipJsonSchema[None] = Field(
        default=None,
        description="seconds that you will wait, at most the service's own",
        examples=[2.5],
    )


_FILE = {"type": "string", "format": "binary", "description": "a picture file"}


def a_seven() -> NDArray[np.uint8]:
    """A digit (28, 28), for whoever tries a route from the document."""
    sheet = np.zeros((28, 28), np.uint8)
    corners = np.array([[7, 6], [20, 6], [12, 22]], np.int32)
    cv2.polylines(sheet, [corners], isClosed=False, color=255, thickness=2)
    return sheet


def _bodies() -> dict[str, Any]:
    """Every form that the body of /v1/predict may have."""
    image = b64encode(png_of(a_seven())).decode()
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
        "description": "files, or base64 or data URLs of them, under any name",
        "properties": {"image": {"type": "array", "items": _FILE, "minItems": 1}},
        "required": ["image"],
        "additionalProperties": False,
    }
    texts = {**form, "description": "base64 or data URLs under any name; or a file as it is"}
    texts["properties"] = {"image": {"type": "array", "items": text, "minItems": 1}}
    return {
        **{kind.decode(): {"schema": _FILE} for kind in sorted(PICTURES) if kind},
        "image/*": {"schema": _FILE},
        MULTIPART.decode(): {"schema": form},
        URLENCODED.decode(): {"schema": texts},
        "application/json": {
            "schema": {"title": PicturesRequest.__name__, "oneOf": [alone, several]},
            "examples": {
                "one": {"value": {"image": image}},
                "several": {"value": {"images": [image, data_url(png_of(a_seven()))]}},
            },
        },
    }


described = APIRouter()
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _bodies()}}
_PREDICTS: dict[str, Any] = {
    "tags": ["prediction"],
    "response_model": Predictions,
    "response_model_exclude_none": True,
}


@described.post(
    "/v1/predict",
    operation_id="predict",
    summary="Say which digit is on a picture",
    description="Pictures of one digit each, dark on light or light on dark, of any size: a file "
    "as the body, files of a form, or JSON with base64. The first bytes of a file "
    "count, whichever image type the Content-Type names.",
    responses={200: {"headers": ANSWERED}, **refusals(*_REFUSALS)},
    openapi_extra=_BODY,
    **_PREDICTS,
)
def _predict(
    options: Annotated[Options, Query()], headers: Annotated[Headers, Header()]
) -> None: ...


@described.post(
    PredictByVersion.path,
    operation_id="predict_version",
    summary="The same, by that version and no other",
    description="For comparing versions. The one that serves and the one before it, while it is "
    "warm, answer whoever may ask; any other is loaded for it, which takes the admin token.",
    responses={200: {"headers": ANSWERED}, **refusals(*_REFUSALS, *_VERSION_REFUSALS)},
    # {}: without the token, of the versions that are loaded anyway.
    openapi_extra=_BODY | {"security": [{}, {"AdminToken": []}]},
    **_PREDICTS,
)
def _predict_version(
    name: str,
    version: Annotated[str, Path(description="its number")],
    options: Annotated[Options, Query()],
    headers: Annotated[Headers, Header()],
) -> None: ...

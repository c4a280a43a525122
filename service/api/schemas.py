"""Responses as the OpenAPI document describes them; `openapi` puts the document together."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from service.errors import ProblemType
from service.problem_types import TYPES

KINDS = "x-problems"  # codes of a response's problems, until `openapi` describes them


class ServedModel(BaseModel):
    name: str
    version: str


class Prediction(BaseModel):
    digit: int = Field(ge=0, description="index of the likeliest class")
    label: str = Field(description="its name")
    confidence: float = Field(ge=0, le=1, description="its probability")
    probabilities: list[float] = Field(description="of every class, in order")
    ink: str | SkipJsonSchema[None] = Field(
        None, description="the 28x28 pixels that were read, as a data URL, with `debug=ink`"
    )


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


class InferOutput(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = Field(None, description="binary_data_size, if in bytes")
    data: list[float | str] | None = Field(
        None, description="flat; texts where classes were requested"
    )


class InferResponse(BaseModel):
    model_name: str
    model_version: str
    id: str | None = Field(None, description="yours")
    outputs: list[InferOutput]


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str = Field(
        description="the kind of problem, stable; a relative reference to a page on it",
        json_schema_extra={"enum": [*sorted(kind.uri for kind in TYPES.values())]},
    )
    title: str
    status: int
    detail: str = Field(description="what went wrong and what to do, for a person")
    request_id: str


class InferError(BaseModel):
    error: str


def refusals(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Responses, as FastAPI takes them, of a route that may report these kinds of problem."""
    codes: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        codes.setdefault(kind.status, {KINDS: []})[KINDS].append(kind.code)
    return codes


def example_digit() -> NDArray[np.uint8]:
    """A seven (28, 28), for requests that are tried out from the document."""
    pixels = np.zeros((28, 28), np.uint8)
    corners = np.array([[7, 6], [20, 6], [12, 22]], np.int32)
    cv2.polylines(pixels, [corners], isClosed=False, color=255, thickness=2)
    return pixels

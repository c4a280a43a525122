"""Responses as the OpenAPI document describes them; `openapi` puts the document together."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from contract.card import ModelCard
from service.errors import ProblemType
from service.models.loading import FEW_LABELS
from service.problem_types import TYPES

KINDS = "x-problems"  # codes of a response's problems, until `openapi` describes them


class ServedModel(BaseModel):
    name: str
    version: str


class Class(BaseModel):
    digit: int | SkipJsonSchema[None] = Field(
        None, ge=0, description="only where the labels are digits: the likeliest one"
    )
    label: str = Field(description="name of the likeliest class")
    index: int = Field(ge=0, description="its place among the labels on the model's card")
    confidence: float = Field(ge=0, le=1, description="its probability")


class Prediction(Class):
    probabilities: list[float] | SkipJsonSchema[None] = Field(
        None, description="of every class, in the order of the labels, where they are at most 20"
    )
    top_k: list[Class] | SkipJsonSchema[None] = Field(
        None,
        description="the likeliest classes: as many as `top_k` says, or 5 of more than 20 labels",
    )
    uncertain: bool | SkipJsonSchema[None] = Field(
        None, description="true where the confidence is below the threshold"
    )
    reason: Literal["low_confidence", "not_one_digit"] | SkipJsonSchema[None] = Field(
        None,
        description="why it is uncertain. `not_one_digit`: the image seems to hold no digit, or "
        "several; only of models that were trained on such images. `low_confidence`: any other, "
        "such as a digit that may be one of two",
    )
    pixels: str | SkipJsonSchema[None] = Field(
        None, description="what the network saw, as a data URL, with `debug=pixels`"
    )
    ink: str | SkipJsonSchema[None] = Field(
        None, description="the same of a digit, with `debug=ink`"
    )


class Predictions(BaseModel):
    model: ServedModel
    predictions: list[Prediction] = Field(description="one for each image, in order")


def example_answer(card: ModelCard) -> dict[str, Any]:
    """An answer to one image, for the document."""
    labels, count = card.labels, len(card.labels)
    index = min(7, count - 1)
    likely, rest = 0.9905, round(0.0095 / (count - 1), 4)
    classes = [
        ({"digit": each} if card.are_digits else {})
        | {"label": labels[each], "index": each, "confidence": likely if each == index else rest}
        for each in (index, *(each for each in range(min(count, 6)) if each != index))
    ]
    prediction = dict(classes[0])
    if count > FEW_LABELS:
        prediction["top_k"] = classes[:5]
    else:
        prediction["probabilities"] = [likely if at == index else rest for at in range(count)]
    return {"model": {"name": card.name, "version": "1"}, "predictions": [prediction]}


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


def example_image(card: ModelCard) -> NDArray[np.uint8]:
    """For requests that are tried out from the document, as the model takes it: a seven.

    For digits light on dark, and dark on light for any other model.
    """
    height, width = card.shape[:2]
    pen, paper = (255, 0) if card.preparation.kind == "digit" else (0, 255)
    pixels = np.full(card.shape, paper, np.uint8)
    corners = np.array([[0.25, 0.22], [0.72, 0.22], [0.43, 0.79]]) * (width, height)
    cv2.polylines(
        pixels,
        [corners.astype(np.int32)],
        isClosed=False,
        color=(pen,) * 3,
        thickness=max(1, min(height, width) // 14),
    )
    return pixels

"""Words of the OpenAPI document that several routes need; `document` puts it together."""

from typing import Any

from pydantic import BaseModel, Field

from service.problems import CONTENT_TYPE


class ServedModel(BaseModel):
    name: str
    version: str


class ProblemDetails(BaseModel):
    """RFC 9457."""

    title: str
    status: int
    detail: str = Field(description="what went wrong and what to do, for a person")
    request_id: str


class InferError(BaseModel):
    error: str


def refusals(meanings: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """What FastAPI is told of answers that are problem documents."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": meaning, "content": {CONTENT_TYPE: {"schema": schema}}}
        for status, meaning in meanings.items()
    }

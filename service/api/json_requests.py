"""Small requests in JSON that FastAPI does not read: they are bounded in size, depth and time.

An empty body is a request without parameters.
"""

import asyncio
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from service.errors import Problem
from service.http.body import too_slow
from service.http.json_body import fitted, read_json
from service.problem_types.content import (
    BAD_DOCUMENT,
    BAD_JSON,
    BODY_TIMEOUT,
    CLIENT_GONE,
    DOCUMENT_TOO_LARGE,
    JSON_TOO_DEEP,
)
from service.settings import Settings

LONGEST = 2**16  # bytes
BAD_REQUEST = (BAD_JSON, JSON_TOO_DEEP, BAD_DOCUMENT, BODY_TIMEOUT, DOCUMENT_TOO_LARGE)

Kind = TypeVar("Kind", bound=BaseModel)


async def read_request(request: Request, kind: type[Kind], settings: Settings) -> Kind:
    """The body of a request; raises Problem 400 if it does not fit the model."""
    body = await _body(request, settings.request_timeout)
    if not body:
        return kind()
    return fitted(kind, read_json(body, settings.max_json_depth), "the request")


async def _body(request: Request, patience: float) -> bytes:
    """At most LONGEST bytes, read within `patience` seconds."""
    body = b""
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST:
                    raise Problem(
                        DOCUMENT_TOO_LARGE, f"the request has more than {LONGEST:,} bytes"
                    )
    except TimeoutError:
        raise too_slow(patience) from None
    except ClientDisconnect:
        raise Problem(CLIENT_GONE, "the client hung up") from None
    return body


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a body that FastAPI does not read itself."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})
    for field in schema["properties"].values():
        for choice in field.get("anyOf", ()):
            if "$ref" in choice:  # each is used once, and the document has its own place for them
                choice |= parts[choice.pop("$ref").rpartition("/")[2]]
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}

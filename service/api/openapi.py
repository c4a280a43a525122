"""The OpenAPI document: FastAPI's routes, the fast endpoints, and what is true of every route.

Any request may be refused before its route sees it: malformed HTTP, a missing key, too large a
head, too many connections. Each operation lists these problems with an example.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.fast_docs import described
from service.api.live.summary import BatchSize, LiveSummary
from service.api.schemas import KINDS, InferError, ProblemDetails
from service.http.auth import OPEN
from service.http.errors import CONTENT_TYPE, OPEN_INFERENCE
from service.problem_types import TYPES
from service.problem_types.http import (
    BAD_HTTP,
    HEAD_TIMEOUT,
    HEAD_TOO_LARGE,
    INTERNAL_ERROR,
    REPEATED_HEADER,
    TOO_MANY_CONNECTIONS,
)
from service.problem_types.operation import NO_API_KEY, WRONG_API_KEY
from service.settings import Settings

EVERYWHERE = (
    BAD_HTTP, REPEATED_HEADER, HEAD_TIMEOUT, HEAD_TOO_LARGE, INTERNAL_ERROR, TOO_MANY_CONNECTIONS,
)  # fmt: skip
WHERE_KEYS_ARE = (NO_API_KEY, WRONG_API_KEY)
ERROR = "error-"  # begins the name of an example of /v2
HEADERS = {
    "X-Request-ID": {"schema": {"type": "string"}, "description": "yours, or one made up"},
    "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"},
    "WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer"},
    "Allow": {"schema": {"type": "string"}, "description": "the methods there are"},
}
OF_STATUS = {"401": "WWW-Authenticate", "405": "Allow", "503": "Retry-After"}
KEYS = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "ApiKeyAsBearer": {"type": "http", "scheme": "bearer"},
}


def document(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The whole OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            servers=app.servers or None,
            routes=[*described.routes, *app.routes],
        )
        components = schema["components"]
        for model in (ProblemDetails, InferError, LiveSummary, BatchSize):
            described_model = model.model_json_schema(ref_template="#/components/schemas/{model}")
            described_model.pop("$defs", None)
            components["schemas"][model.__name__] = described_model
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; ours are problems
            components["schemas"].pop(name, None)
        if settings.api_keys:
            components.setdefault("securitySchemes", {}).update(KEYS)
        components["examples"] = _examples()
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _complete(operation, path, settings)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(operation: dict[str, Any], path: str, settings: Settings) -> None:
    """Add to an operation what is true of all."""
    answers = operation["responses"]
    if KINDS not in answers.get("422", {KINDS: None}):
        del answers["422"]  # which FastAPI adds to every route that has a parameter
    guarded = bool(settings.api_keys) and not OPEN.fullmatch(path.replace("{", "").replace("}", ""))
    security = operation.get("security", [{}])  # {}: no token is needed, or not always
    if guarded and {} in security:
        operation["security"] = [{name: []} for name in KEYS] + [each for each in security if each]
    for kind in (*EVERYWHERE, *(WHERE_KEYS_ARE if guarded else ())):
        answers.setdefault(str(kind.status), {}).setdefault(KINDS, []).append(kind.code)
    for status, answer in answers.items():
        _complete_answer(answer, status, path)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"] in ("name", "model"):
            parameter["schema"] = {"type": "string", "enum": [settings.model]}
    operation["responses"] = dict(sorted(answers.items()))


def _complete_answer(answer: dict[str, Any], status: str, path: str) -> None:
    names = ["X-Request-ID", *([OF_STATUS[status]] if status in OF_STATUS else [])]
    answer["headers"] = {**answer.get("headers", {}), **{name: HEADERS[name] for name in names}}
    if status < "400":
        return
    codes: list[str] = answer.pop(KINDS)
    answer["description"] = "; ".join(TYPES[code].title for code in codes)
    if path.startswith(OPEN_INFERENCE):
        media_type, name, prefix = "application/json", InferError.__name__, ERROR
    else:
        media_type, name, prefix = CONTENT_TYPE, ProblemDetails.__name__, ""
    answer["content"] = {
        media_type: {
            "schema": {"$ref": f"#/components/schemas/{name}"},
            "examples": {code: {"$ref": f"#/components/examples/{prefix}{code}"} for code in codes},
        }
    }


def _examples() -> dict[str, Any]:
    """Of every kind of problem, as a problem document and as an error under /v2."""
    examples: dict[str, Any] = {}
    for kind in TYPES.values():
        problem = {
            "type": kind.uri,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "request_id": "8f1c2a9d3b7e00000001",
        }
        examples[kind.code] = {"summary": kind.title, "value": problem}
        examples[ERROR + kind.code] = {"summary": kind.title, "value": {"error": kind.meaning}}
    return examples

"""The OpenAPI document: what FastAPI knows, the hot routes, and what is true of every route.

Any request may be refused before its route is asked: no clear HTTP, no key, too large a head, too
many connections. Each operation says so, with an example, in the words of its path.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service import hot_routes
from service.access import OPEN
from service.openapi import InferError, ProblemDetails
from service.problems import CONTENT_TYPE, OPEN_INFERENCE
from service.pulse import BatchSize, Pulse
from service.settings import Settings
from service.v2.described import described

EVERYWHERE = {
    "400": "No clear HTTP, or a header that came twice",
    "401": "No API key, or not one of ours",
    "408": "The head of the request did not arrive in time",
    "431": "The head of the request is too large",
    "500": "A mistake of ours; the log has it under the request's id",
    "503": "Too many connections",
}
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
            routes=[*hot_routes.described.routes, *described.routes, *app.routes],
        )
        components = schema["components"]
        for model in (ProblemDetails, InferError, Pulse, BatchSize):
            described_model = model.model_json_schema(ref_template="#/components/schemas/{model}")
            described_model.pop("$defs", None)
            components["schemas"][model.__name__] = described_model
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; ours are problems
            components["schemas"].pop(name, None)
        if settings.api_keys:
            components.setdefault("securitySchemes", {}).update(KEYS)
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _complete(operation, path, settings)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(operation: dict[str, Any], path: str, settings: Settings) -> None:
    """Say of an operation what nobody said of it alone."""
    answers = operation["responses"]
    if CONTENT_TYPE not in answers.get("422", {}).get("content", {CONTENT_TYPE: None}):
        del answers["422"]  # which FastAPI says of every route that has a parameter
    guarded = bool(settings.api_keys) and not OPEN.fullmatch(path.replace("{", "").replace("}", ""))
    asked = operation.get("security", [{}])  # {}: it asks for nothing, or for nothing always
    if guarded and {} in asked:
        operation["security"] = [{name: []} for name in KEYS] + [each for each in asked if each]
    for status, meaning in EVERYWHERE.items():
        if guarded or status != "401":
            answers.setdefault(status, {"description": meaning})
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
    meaning = answer["description"]
    if path.startswith(OPEN_INFERENCE):
        kind, name, example = "application/json", InferError.__name__, {"error": meaning}
    else:
        kind, name = CONTENT_TYPE, ProblemDetails.__name__
        example = {
            "title": HTTPStatus(int(status)).phrase,
            "status": int(status),
            "detail": meaning,
            "request_id": "8f1c2a9d3b7e00000001",
        }
    schema = {"$ref": f"#/components/schemas/{name}"}
    answer["content"] = {kind: {"schema": schema, "example": example}}

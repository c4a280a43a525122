"""The page of the HTTP API, from the OpenAPI document of a service with the tests' model."""

import asyncio
import json
import os
from typing import Any

import httpx2

from service.app import build
from service.problem_types import TYPES
from service.settings import Settings
from service.telemetry.logs.handler import AsyncLogHandler
from tests.fixtures import MODELS
from tools.site.markdown import code, page, prose, sentence, table

Operation = dict[str, Any]
PROBLEMS = "application/problem+json"


def openapi() -> dict[str, Any]:
    """The OpenAPI document of a service whose admin routes are open."""
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123, a descriptor for the log
        log = AsyncLogHandler(lambda _: b"", nothing.fileno())
        settings = Settings.model_validate({"models": MODELS, "admin_token": "x" * 16})
        app, _, _ = build(settings, log, print)

        async def get() -> bytes:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
                return (await client.get("/openapi.json")).content

        return dict(json.loads(asyncio.run(get())))


def routes() -> str:
    """Every route with its parameters, bodies and errors, by subject."""
    paths = openapi()["paths"]
    subjects: dict[str, list[str]] = {}
    overview = []
    for path, operations in paths.items():
        for method, operation in operations.items():
            anchor = operation["operationId"].replace("_", "-")
            heading = f"{method.upper()} {path}"
            subject = operation.get("tags", ["other"])[0]
            subjects.setdefault(subject, []).append(_operation(heading, anchor, operation))
            overview.append(
                (f"[{code(heading)}](#{anchor})", prose(operation["summary"]), _access(operation))
            )
    return page(
        "Routes",
        "This page is generated from the OpenAPI document of the service, which `/openapi.json` "
        "returns and `/docs` shows. [The API](api.md) explains bodies, options and limits.",
        table(["route", "meaning", "access"], overview),
        *(
            part
            for subject, described in subjects.items()
            for part in (f"## {subject[0].upper()}{subject[1:]}", *described)
        ),
    )


def _access(operation: Operation) -> str:
    security = operation.get("security", [{}])
    if {} not in security:
        return "admin token"
    return "admin token for some" if len(security) > 1 else ""


def _operation(heading: str, anchor: str, operation: Operation) -> str:
    parts = [
        f"### {code(heading)} {{ #{anchor} }}",
        f"**{prose(operation['summary'])}.** {prose(operation.get('description', ''))}",
        _parameters(operation.get("parameters", [])),
        _bodies(operation.get("requestBody", {}).get("content", {})),
        *_answers(operation["responses"]),
    ]
    return "\n\n".join(filter(None, parts))


def _parameters(parameters: list[Operation]) -> str:
    if not parameters:
        return ""
    return table(
        ["parameter", "in", "meaning"],
        [
            (code(each["name"]), each["in"], sentence(each.get("description", "")))
            for each in parameters
        ],
    )


def _bodies(content: dict[str, Any]) -> str:
    return f"Request bodies: {', '.join(map(code, content))}." if content else ""


def _answers(answers: dict[str, Operation]) -> list[str]:
    """A line for what succeeds, and one for the problem types."""
    good = [
        f"{code(status)} {prose(answer.get('description', ''))}"
        for status, answer in answers.items()
        if status < "400"
    ]
    problems = sorted(
        {
            name.removeprefix("error-")
            for status, answer in answers.items()
            if status >= "400"
            for content in answer.get("content", {}).values()
            for name in content.get("examples", {})
        }
        & TYPES.keys()
    )
    links = ", ".join(f"[{code(name)}](problems.md#{name})" for name in problems)
    return [f"Answers: {'; '.join(good)}.", f"Problems: {links}." if links else ""]

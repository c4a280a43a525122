"""Problem documents, as clients read them."""

from typing import Any

import httpx2

from service.problem_types import TYPES


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The problem document of a response, which must have that status."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    kind = TYPES[document["type"].removeprefix("/problems/")]
    assert (document["title"], status) == (kind.title, kind.status)
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


def refusal(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of a problem document."""
    document = problem(response, response.status_code)
    return response.status_code, document["type"].removeprefix("/problems/")

"""What strangers send in JSON: bounded in depth, and of the kind that is expected."""

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from service.problems import Problem

Document = TypeVar("Document", bound=BaseModel)
TYPES = ("constrained-", "literal[")  # how pydantic calls one of several that a field may have


def read_json(body: bytes, max_depth: int) -> Any:
    """What a body says; Problem 400 if it is no JSON, or lists and objects nest too deep in it."""
    try:
        document = orjson.loads(body)  # which itself gives up at a depth of 1024
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    # Most have not even that many brackets, and a million numbers take a while to walk over.
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_depth(document, max_depth)
    return document


def fitted(kind: type[Document], document: object, whole: str) -> Document:
    """The document as one of that kind; Problem 400 names what is wrong first, or the whole."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        parts = [str(part)[:64] for part in wrong["loc"]]
        place = ".".join(part for part in parts if not part.startswith(TYPES))
        told = wrong["msg"].removeprefix("Value error, ")
        raise Problem(400, f"{place or whole}: {told}") from error


def _check_depth(document: Any, most: int) -> None:
    level, depth = [document], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > most:
            raise Problem(
                400,
                f"the JSON nests deeper than {most} levels (DIGITSERVE_MAX_JSON_DEPTH); "
                "send a flatter document",
            )
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]

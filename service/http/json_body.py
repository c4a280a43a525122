"""JSON from clients: bounded in depth, and validated against the expected model."""

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticUseDefault

from service.errors import Problem, ProblemType
from service.problem_types.content import BAD_DOCUMENT, BAD_JSON, JSON_TOO_DEEP

Document = TypeVar("Document", bound=BaseModel)
TYPES = ("constrained-", "literal[")  # pydantic's names of the alternatives of a field
BOM = b"\xef\xbb\xbf"  # which Windows puts before texts in UTF-8
# How texts in UTF-16 and UTF-32 begin, with such a mark, or with ASCII.
_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff", b"\0")

_WHOLE, _NUMBER = "must be a whole number", "must be a number"
_REASONS = {  # by pydantic's type of error
    "missing": "is required",
    "extra_forbidden": "is unknown",
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_parsing_size": _WHOLE, "int_from_float": _WHOLE,
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "bool_type": "must be true or false", "bool_parsing": "must be true or false",
    "string_type": "must be a text",
    "greater_than_equal": "must be at least {ge}", "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}", "enum": "must be {expected}",
}  # fmt: skip


def read_json(body: bytes, max_depth: int) -> Any:
    """The value of a body; raises Problem 400 if it is not JSON, or nested too deep."""
    try:
        # It stops at a depth of 1024 by itself.
        document = orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        if body.startswith(_OTHER_UNICODE) or body[1:2] == b"\0":
            raise Problem(
                BAD_JSON, "the body is not JSON in UTF-8, but in UTF-16 or UTF-32"
            ) from error
        raise Problem(BAD_JSON, f"the body is not JSON: {error}") from error
    # Most have not even that many brackets, and a million numbers take a while to walk over.
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_depth(document, max_depth)
    return document


def fitted(
    kind: type[Document], document: object, whole: str, problem: ProblemType = BAD_DOCUMENT
) -> Document:
    """The document as that model; the problem names the first wrong field, or the whole."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        parts = [str(part)[:64] for part in wrong["loc"]]
        place = ".".join(part for part in parts if not part.startswith(TYPES))
        raise Problem(problem, f"{place or whole}: {reason_of(wrong)}") from error


def reason_of(wrong: ErrorDetails) -> str:
    """What is wrong with a value, in the words of this service's other problems."""
    words = _REASONS.get(wrong["type"])
    if words is None:
        return wrong["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return words.format(**wrong.get("ctx", {}))


def nullable(kind: Any) -> BeforeValidator:
    """For a field of that type: null counts as absent, as many clients write it."""
    return BeforeValidator(_or_default, json_schema_input_type=kind | None)


def _or_default(given: Any) -> Any:
    if given is None:
        raise PydanticUseDefault
    return given


def _check_depth(document: Any, most: int) -> None:
    level, depth = [document], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > most:
            raise Problem(
                JSON_TOO_DEEP,
                f"the JSON nests deeper than {most} levels (DIGITSERVE_MAX_JSON_DEPTH); "
                "send a flatter document",
            )
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]

"""Labels: the names of classes, as model cards, pages, headers and metrics hold them.

A label is one line of text: 1 to 256 characters, none of them a control character such as a tab.
"""

from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

LONGEST: Final = 256  # characters
Label = Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f]+$")]

_ADAPTER: TypeAdapter[str] = TypeAdapter(Label)
_FAULTS: Final = {  # by the type of pydantic's error
    "string_too_short": "is empty",
    "string_too_long": f"has more than {LONGEST} characters",
    "string_pattern_mismatch": "has a tab or another control character",
    "string_unicode": "is not UTF-8",  # as names of files of other systems
}


def fault_of(text: str) -> str | None:
    """Why a text cannot be a label, as a part of a sentence; None: it can."""
    try:
        _ADAPTER.validate_python(text, strict=True)
    except ValidationError as error:
        return _FAULTS[error.errors()[0]["type"]]
    return None

"""Which model and which version a path asks for, or the problem that says what there is.

An unknown model is refused in the words of Triton, by which its clients know it, and in ours.
"""

import re

from contract.current import NUMBER
from service.errors import Problem
from service.problem_types.versions import NO_SUCH_MODEL, NO_SUCH_VERSION


def check_name(name: str, served: str) -> None:
    if name != served:
        raise Problem(
            NO_SUCH_MODEL,
            f"Request for unknown model: '{name[:64]}' is not found; the model served here is "
            f"{served!r}",
        )


def number_of(version: str) -> int:
    if not re.fullmatch(NUMBER, version):
        raise Problem(NO_SUCH_VERSION, f"{version!r} is no version's number")
    return int(version)

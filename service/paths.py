"""Which model and which version a path asks for, or the problem that says what there is.

An unknown model is refused in the words of Triton, by which its clients know it, and in ours.
"""

import re

from contract.current import NUMBER
from service.problems import Problem


def check_name(name: str, served: str) -> None:
    if name != served:
        raise Problem(
            404,
            f"Request for unknown model: '{name[:64]}' is not found; the model served here is "
            f"{served!r}",
            title="No such model",
        )


def number_of(version: str) -> int:
    if not re.fullmatch(NUMBER, version):
        raise Problem(404, f"{version!r} is no version's number", title="No such version")
    return int(version)

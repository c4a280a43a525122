"""Which model and which version a path asks for, or the problem that says what there is."""

import re

from contract.current import NUMBER
from service.problems import Problem


def check_name(name: str, served: str) -> None:
    if name != served:
        raise Problem(404, f"the model served here is {served!r}", title="No such model")


def number_of(version: str) -> int:
    if not re.fullmatch(NUMBER, version):
        raise Problem(404, f"{version!r} is no version's number", title="No such version")
    return int(version)

"""Which model and which version a path asks for, or the problem that says what there is.

An unknown model is refused in the words of Triton, by which its clients know it, and in ours.

How many pictures a request may have, by whichever door it comes: MAX_PICTURES, if they can wait.

More than the queue may hold would be refused however empty it is.
"""

import re

from contract.current import NUMBER
from service.errors import Problem
from service.problem_types.prediction import TOO_MANY_PICTURES
from service.problem_types.problem_type import ProblemType
from service.problem_types.versions import NO_SUCH_MODEL, NO_SUCH_VERSION
from service.settings import Settings


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


def most_pictures(settings: Settings) -> int:
    """Of one request."""
    return min(settings.max_pictures, settings.max_queue)


def check_pictures(
    count: int, settings: Settings, problem: ProblemType = TOO_MANY_PICTURES
) -> None:
    """Problem if a request has more than it may have."""
    most = most_pictures(settings)
    if count > most:
        raise Problem(
            problem,
            f"{count} pictures in one request, {most} are allowed "
            "(DIGITSERVE_MAX_PICTURES, and at most DIGITSERVE_MAX_QUEUE)",
        )

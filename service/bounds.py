"""How many pictures a request may have, by whichever door it comes: MAX_PICTURES, if they can wait.

More than the queue may hold would be refused however empty it is.
"""

from service.errors import Problem
from service.problem_types.prediction import TOO_MANY_PICTURES
from service.problem_types.problem_type import ProblemType
from service.settings import Settings


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

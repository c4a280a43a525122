"""The kinds of problem that the service reports, by subject, and the table of all of them."""

from service.errors import ProblemType
from service.problem_types import (
    content,
    feedback,
    http,
    operation,
    prediction,
    retraining,
    versions,
)

TYPES: dict[str, ProblemType] = {
    each.code: each
    for module in (http, operation, content, prediction, versions, retraining, feedback)
    for each in vars(module).values()
    if isinstance(each, ProblemType)
}

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

SUBJECTS = (http, operation, content, prediction, versions, retraining, feedback)
TYPES: dict[str, ProblemType] = {
    each.code: each
    for subject in SUBJECTS
    for each in vars(subject).values()
    if isinstance(each, ProblemType)
}

"""Every kind of problem that the service can report, by its code."""

from service.problem_types import access, content, http, operation, prediction, versions
from service.problem_types.problem_type import ProblemType

TYPES: dict[str, ProblemType] = {
    each.code: each
    for module in (http, access, content, prediction, versions, operation)
    for each in vars(module).values()
    if isinstance(each, ProblemType)
}

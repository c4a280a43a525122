"""Checks that several routes share: the model and the version in a path, and the number of images.

An unknown model is refused in the words of Triton, by which its clients recognise it, and in ours.
"""

import re

from contract.current import NUMBER
from service.errors import Problem, ProblemType
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.prediction import TOO_MANY_PICTURES
from service.problem_types.versions import NO_SUCH_MODEL, NO_SUCH_VERSION, VERSION_NOT_SERVING
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


def most_images(settings: Settings, model: Model | None = None) -> int:
    """Of one request, under /v1 and /v2: never more than the queue holds when it is empty.

    Of large images there may be fewer, which depends on the model.
    """
    if model is None:
        return min(settings.max_pictures, settings.max_queue)
    return model.max_images(settings)


def check_images(
    count: int,
    settings: Settings,
    model: Model | None = None,
    problem: ProblemType = TOO_MANY_PICTURES,
) -> None:
    """Raises Problem if a request has more images than it may have."""
    most = most_images(settings, model)
    if count > most:
        raise Problem(
            problem,
            f"{count} images in one request, {most} are allowed "
            "(DIGITSERVE_MAX_PICTURES, DIGITSERVE_MAX_QUEUE, and a quarter of "
            "DIGITSERVE_MAX_QUEUE_BYTES)",
        )


def addressed_model(
    serving: ModelManager, settings: Settings, name: str, version: str | None = None
) -> Model:
    """The model that a path under /v2 names; raises Problem 404 unless it is the one that serves.

    Only the version that serves can be named. The one before stays warm for a rollback, but clients
    could not foresee when it is unloaded.
    """
    check_name(name, settings.model)
    model = serving.model
    if version is not None and version != str(model.number):
        raise not_serving(name, version, model.number)
    return model


def not_serving(name: str, version: object, serving: int) -> Problem:
    """The refusal of a version by its number, or because another one has replaced it."""
    number = str(version)[:20]
    return Problem(
        VERSION_NOT_SERVING,
        f"Request for unknown model: '{name}' version {number} is not found; version {number} does "
        f"not serve; version {serving} does",
    )

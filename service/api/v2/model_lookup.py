"""The model that a path under /v2 names, by name and perhaps by version, or why it does not answer.

One version serves. The one before stays warm for a rollback, but answers nobody: whoever asked for
it would notice its end only by chance.
"""

from service.api.params import check_name
from service.errors import Problem
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.versions import VERSION_NOT_SERVING
from service.settings import Settings


class ModelLookup:
    def __init__(self, serving: ModelManager, settings: Settings) -> None:
        self._serving = serving
        self._name = settings.model

    def model(self, name: str, version: str | None = None) -> Model:
        """The one that serves; Problem 404 if another is meant."""
        check_name(name, self._name)
        model = self._serving.model
        if version is not None and version != str(model.number):
            raise not_serving(name, version, model.number)
        return model


def not_serving(name: str, version: object, serving: int) -> Problem:
    """The refusal of a version by its number, or by what came in its place."""
    asked = str(version)[:20]
    return Problem(
        VERSION_NOT_SERVING,
        f"Request for unknown model: '{name}' version {asked} is not found; version {asked} does "
        f"not serve; version {serving} does",
    )

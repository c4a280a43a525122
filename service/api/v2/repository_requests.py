"""Requests to the model repository.

Triton's client sends no Content-Type, and no parameter for a version, only a config.
"""

from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.api.v2.model_config import ModelConfig
from service.errors import Problem
from service.http.json_body import nullable
from service.problem_types.content import BAD_DOCUMENT, BAD_JSON
from service.problem_types.versions import FIXED_CONFIGURATION


class IndexRequest(BaseModel):
    model_config = ConfigDict(strict=True)

    ready: Annotated[bool, nullable(bool)] = Field(default=False, description="only what serves")


class LoadParameters(BaseModel):
    model_config = ConfigDict(strict=True)

    version: str | None = Field(default=None, description="its number")
    config: str | None = Field(
        default=None,
        description='JSON, such as {"version_policy": {"specific": {"versions": [2]}}}; '
        "nothing else of GET .../config can be changed",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_files(cls, given: Any) -> Any:
        if isinstance(given, dict) and any(str(name).startswith("file:") for name in given):
            raise ValueError("files are not taken: publish a version to the store, then load it")
        return given

    def version_asked(self, config: ModelConfig) -> str | None:
        """From the parameter or the config; raises Problem 400 if that would change more."""
        if self.config is None:
            return self.version
        try:
            given = orjson.loads(self.config)
        except orjson.JSONDecodeError as error:
            raise Problem(BAD_JSON, f"parameters.config is not JSON: {error}") from error
        if not isinstance(given, dict):
            raise Problem(BAD_DOCUMENT, "parameters.config is not a JSON object")
        policy = given.pop("version_policy", None)
        is_so = config.model_dump()
        for name, value in given.items():
            if name not in is_so or is_so[name] != value:
                raise Problem(
                    FIXED_CONFIGURATION,
                    f"parameters.config: {name[:64]} is set where the service starts; only "
                    "version_policy can be given",
                )
        return self.version if policy is None else _specific(policy)


class LoadRequest(BaseModel):
    parameters: Annotated[LoadParameters, nullable(LoadParameters)] = LoadParameters()


class UnloadParameters(BaseModel):
    model_config = ConfigDict(strict=True)

    version: str | None = Field(default=None, description="its number")
    unload_dependents: Annotated[bool, nullable(bool)] = Field(
        default=False, description="there are none"
    )


class UnloadRequest(BaseModel):
    parameters: Annotated[UnloadParameters, nullable(UnloadParameters)] = UnloadParameters()


def _specific(policy: Any) -> str:
    match policy:
        case {"specific": {"versions": [int(version)]}} if not isinstance(version, bool):
            return str(version)
    raise Problem(
        BAD_DOCUMENT,
        'parameters.config: version_policy is {"specific": {"versions": [n]}} with one n, for one '
        "version serves at a time",
    )

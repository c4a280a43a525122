"""The routes of the Open Inference Protocol that only read: health, metadata, settings, counts.

One model serves, in one version; requests that name another get 404. `infer` predicts, `repository`
changes which version serves. https://github.com/kserve/open-inference-protocol
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from contract.card import INPUT, LOGITS, PROBABILITIES
from service.api.health import Live, Ready, check_ready
from service.api.params import addressed_model, check_name, number_of
from service.api.predictions import BatchPredictions
from service.api.schemas import refusals
from service.api.v2.model_config import ModelConfig, config_of
from service.api.v2.statistics import ModelStatistics, Statistics
from service.batching.batcher import Batcher
from service.errors import Problem
from service.lifecycle import Life
from service.models.loading import Model
from service.models.manager import ModelManager
from service.problem_types.operation import NOT_READY, STOPPING
from service.problem_types.versions import NO_SUCH_MODEL, NO_SUCH_VERSION, VERSION_NOT_SERVING
from service.settings import Settings

# In Triton's names; docs/reference/open-inference.md says how far each is implemented.
EXTENSIONS = [
    "binary_tensor_data", "classification", "model_configuration", "model_repository",
    "schedule_policy", "statistics",
]  # fmt: skip
TAGS = ["Open Inference Protocol"]
Name = Annotated[str, Path(description="digits, unless it was given another name")]
Version = Annotated[str, Path(description="the number of the one that serves")]
_UNREADY = refusals(STOPPING, NOT_READY)
_UNKNOWN = refusals(NO_SUCH_MODEL, NO_SUCH_VERSION, VERSION_NOT_SERVING)


class ModelReady(BaseModel):
    name: str
    ready: bool


class Server(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]  # -1: any number of images


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def health_routes(life: Life, batcher: Batcher[BatchPredictions], version: str) -> APIRouter:
    """Of the server; `version` is its own."""
    router = APIRouter(prefix="/v2", tags=[*TAGS])

    @router.get("", summary="What the server is, and which extensions it speaks")
    async def server() -> Server:
        return Server(name="digitserve", version=version, extensions=EXTENSIONS)

    @router.get("/health/live", summary="Whether the server answers at all")
    async def live() -> Live:
        return Live(live=True)

    @router.get("/health/ready", summary="Whether to send requests here", responses=_UNREADY)
    async def ready() -> Ready:
        check_ready(life, batcher)
        return Ready(ready=True)

    return router


def model_routes(
    serving: ModelManager,
    batcher: Batcher[BatchPredictions],
    settings: Settings,
    life: Life,
    counted: Statistics,
) -> APIRouter:
    """Of the model, each with and without a version."""
    lookup = partial(addressed_model, serving, settings)
    router = APIRouter(prefix="/v2/models", tags=[*TAGS], responses=_UNKNOWN)

    @router.get("/stats", summary="What was counted, of each version", responses={})
    async def all_statistics() -> ModelStatistics:
        return _statistics(None)

    @router.get("/{model}/stats", summary="The same")
    async def statistics(model: Name) -> ModelStatistics:
        check_name(model, settings.model)
        return _statistics(None)

    @router.get("/{model}/versions/{version}/stats", summary="What was counted, of one version")
    async def version_statistics(model: Name, version: Version) -> ModelStatistics:
        check_name(model, settings.model)
        return _statistics(number_of(version))

    @router.get("/{model}", summary="Tensors and versions")
    async def metadata(model: Name) -> ModelMetadata:
        return _metadata(lookup(model))

    @router.get("/{model}/versions/{version}", summary="The same, if that version serves")
    async def version_metadata(model: Name, version: Version) -> ModelMetadata:
        return _metadata(lookup(model, version))

    @router.get("/{model}/ready", summary="Whether the model answers", responses=_UNREADY)
    async def ready(model: Name) -> ModelReady:
        return _ready(lookup(model))

    @router.get(
        "/{model}/versions/{version}/ready",
        summary="Whether that version answers",
        responses=_UNREADY,
    )
    async def version_ready(model: Name, version: Version) -> ModelReady:
        return _ready(lookup(model, version))

    @router.get("/{model}/config", summary="The configuration, as Triton's clients read it")
    async def config(model: Name) -> ModelConfig:
        return config_of(lookup(model), settings)

    @router.get("/{model}/versions/{version}/config", summary="The same, if that version serves")
    async def version_config(model: Name, version: Version) -> ModelConfig:
        return config_of(lookup(model, version), settings)

    def _ready(model: Model) -> ModelReady:
        check_ready(life, batcher)
        return ModelReady(name=model.card.name, ready=True)

    def _statistics(only: int | None) -> ModelStatistics:
        known = {*counted.versions(), serving.model.number}
        if only is not None and only not in known:
            raise Problem(VERSION_NOT_SERVING, f"version {only} has not served here")
        shown = sorted(known) if only is None else [only]
        return ModelStatistics(model_stats=[counted.of(settings.model, each) for each in shown])

    return router


def _metadata(model: Model) -> ModelMetadata:
    classes = len(model.card.labels)
    return ModelMetadata(
        name=model.card.name,
        versions=[str(model.number)],
        platform="onnxruntime_onnx",
        inputs=[TensorMetadata(name=INPUT, datatype="UINT8", shape=[-1, *model.shape])],
        outputs=[
            TensorMetadata(name=name, datatype="FP32", shape=[-1, classes])
            for name in (LOGITS, PROBABILITIES)
        ],
    )

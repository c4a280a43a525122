"""The model's configuration in the form that Triton's clients and perf_analyzer read.

Names and units are Triton's (model_config.proto). Fields of features that this service does not
have, such as sequences and ensembles, are left out.
"""

from pydantic import BaseModel, Field

from contract.card import INPUT, LOGITS, PROBABILITIES
from service.api.params import most_images
from service.models.loading import Model
from service.settings import Settings


class Tensor(BaseModel):
    name: str
    data_type: str = Field(description="TYPE_UINT8, TYPE_FP32")
    dims: list[int] = Field(description="of one image: the batch's own dimension is left out")


class SpecificVersions(BaseModel):
    versions: list[int]


class VersionPolicy(BaseModel):
    specific: SpecificVersions = Field(description="the one that serves")


class QueuePolicy(BaseModel):
    timeout_action: str = "REJECT"
    default_timeout_microseconds: int
    allow_timeout_override: bool = True
    max_queue_size: int = Field(description="images")


class DynamicBatching(BaseModel):
    preferred_batch_size: list[int] = Field(description="images of a model call, at most")
    max_queue_delay_microseconds: int
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_queue_policy: QueuePolicy


class InstanceGroup(BaseModel):
    name: str
    kind: str = Field(description="KIND_CPU or KIND_GPU")
    count: int = Field(description="processes, each with a model of its own")


class TransactionPolicy(BaseModel):
    decoupled: bool = False


class ModelConfig(BaseModel):
    name: str
    platform: str = "onnxruntime_onnx"
    backend: str = "onnxruntime"
    version_policy: VersionPolicy
    max_batch_size: int = Field(description="images of a request, at most")
    input: list[Tensor]
    output: list[Tensor]
    instance_group: list[InstanceGroup]
    default_model_filename: str
    dynamic_batching: DynamicBatching
    model_transaction_policy: TransactionPolicy = TransactionPolicy()


def config_of(model: Model, settings: Settings) -> ModelConfig:
    card, engine = model.card, model.engine
    classes = len(card.labels)
    return ModelConfig(
        name=card.name,
        version_policy=VersionPolicy(specific=SpecificVersions(versions=[model.number])),
        max_batch_size=most_images(settings, model),
        input=[Tensor(name=INPUT, data_type="TYPE_UINT8", dims=[*model.shape])],
        output=[
            Tensor(name=name, data_type="TYPE_FP32", dims=[classes])
            for name in (LOGITS, PROBABILITIES)
        ],
        instance_group=[
            InstanceGroup(
                name=card.name,
                kind="KIND_CPU" if engine.provider == "cpu" else "KIND_GPU",
                count=settings.workers,
            )
        ],
        default_model_filename=engine.artifact,
        dynamic_batching=DynamicBatching(
            preferred_batch_size=[engine.max_batch],
            max_queue_delay_microseconds=round(settings.max_wait * 1e6),
            default_queue_policy=QueuePolicy(
                default_timeout_microseconds=round(settings.request_timeout * 1e6),
                max_queue_size=model.max_queue(settings),
            ),
        ),
    )

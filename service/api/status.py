"""The response of GET /v1/status: model, engine and its fallbacks, batching, queue, workers.

Parts of it are read from the attributes of what they describe, numbers of versions as texts.
"""

import time

from pydantic import BaseModel, ConfigDict, Field

from contract.provenance import release
from service.api.predictions import BatchPredictions
from service.batching.batcher import Batcher
from service.engine.info import Fallback
from service.lifecycle import Life
from service.memory.budget import MemoryBudget
from service.models.manager import ModelManager
from service.models.store_reads import without_paths
from service.retraining.jobs import Jobs
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers

OF_ATTRIBUTES = ConfigDict(from_attributes=True, coerce_numbers_to_str=True)


class InputStatus(BaseModel):
    height: int
    width: int
    channels: int = Field(description="1: gray, 3: RGB")


class ModelStatus(BaseModel):
    name: str
    version: str
    sha256: str
    network: str
    labels: int = Field(description="how many there are")
    input: InputStatus
    preparation: str = Field(description="how any image becomes that: digit, photo, ...")
    imported: bool = Field(description="whether it was trained elsewhere")
    data_set: str | None = Field(description="null: unknown, of an imported model")
    test_accuracy: float | None = Field(description="null: unknown, of an imported model")
    created: str


class PreviousModel(BaseModel):
    version: str = Field(description="loaded and warm, for a rollback that waits for nothing")


class LastSwap(BaseModel):
    model_config = OF_ATTRIBUTES

    version: str | None = Field(description="null: the store does not say which is current")
    result: str = Field(description="swapped, or failed_ and the check that it did not pass")
    reason: str | None = Field(description="why it does not serve")
    at: str = Field(description="when it ended")
    seconds: float = Field(description="that it took")


class EngineStatus(BaseModel):
    model_config = OF_ATTRIBUTES

    asked: str = Field(description="the provider, as DIGITSERVE_PROVIDER names it")
    precision: str
    artifact: str = Field(description="the version's file that runs")
    way: str = Field(description="plain runs, bound buffers, or a CUDA graph for each bucket")
    cuda_graphs: bool
    buckets: list[int] = Field(description="batch sizes others are padded to; none: none are")
    nodes: dict[str, int] = Field(description="of the graph, on each of ONNX Runtime's providers")
    fallbacks: list[Fallback] = Field(description="what differs from the settings, and why")


class Batching(BaseModel):
    """As it is in effect for the model that serves."""

    max_batch: int = Field(description="images; fewer than MAX_BATCH where they take too long")
    max_wait: float = Field(description="seconds")
    max_queue: int = Field(description="images; fewer than MAX_QUEUE where they are large")


class MemoryStatus(BaseModel):
    budget: int = Field(description="bytes that all processes may take together, from the settings")
    limit: int | None = Field(
        description="bytes that there are: of the control group, or of the machine; null: unknown"
    )


class WorkerStatus(BaseModel):
    model_config = OF_ATTRIBUTES

    worker: int
    pid: int
    version: str | None = Field(description="null: it starts")


class SeriesStatus(BaseModel):
    without_room: int = Field(description="series that are not in /metrics, of all workers")
    names: list[str] = Field(description="the first of those of the worker that answers")


class BucketStatus(BaseModel):
    reachable: bool = Field(description="whether the last read of `current` succeeded")
    reason: str | None = Field(description="why it did not; what serves goes on")
    last_sync: str | None = Field(description="when one succeeded; null: not since the start")


class StoreStatus(BaseModel):
    answers: bool = Field(description="whether reads of the model store end in time")
    stuck_reads: int = Field(description="that did not end by their deadline and go on")
    bucket: BucketStatus | None = Field(description="null: the store is a folder")


class RetrainingStatus(BaseModel):
    set_up: bool = Field(description="whether DIGITSERVE_JOBS names a database")
    reachable: bool | None = Field(
        description="whether the database could be used the last time; null: not set up, or not "
        "yet tried"
    )
    runs: bool = Field(description="whether /v1/runs shows training runs of this machine")


class InputChangeStatus(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    quantity: str = Field(description="ink_share, brightness, ..., confidence, or label")
    images: int = Field(description="sampled from requests since the version began to serve")
    psi: float | None = Field(
        description="population stability index of them and the test images: below 0.1 they are "
        "alike, above 0.25 they are not; null: no images yet"
    )


class Status(BaseModel):
    release: str = Field(description="version of digitserve")
    model: ModelStatus
    previous: PreviousModel | None
    last_swap: LastSwap | None = Field(description="the last attempt to serve another version")
    store: StoreStatus
    feedback: bool = Field(description="whether corrections are accepted: POST /v1/feedback")
    provider: str
    provider_fallback: bool
    engine: EngineStatus
    threads: int
    batching: Batching
    queue_depth: int = Field(description="images")
    retraining: RetrainingStatus
    input_changes: list[InputChangeStatus] = Field(
        description="whether images are unlike the test images; none: the card does not describe "
        "those"
    )
    memory: MemoryStatus
    worker: int = Field(description="which of the workers answers")
    workers: list[WorkerStatus] = Field(description="the processes that serve this port")
    series: SeriesStatus = Field(description="metric series dropped for lack of shared memory")
    replica: str = Field(description="name of the replica that answers: DIGITSERVE_REPLICA")
    draining: bool
    uptime_seconds: float


def status_of(
    serving: ModelManager,
    batcher: Batcher[BatchPredictions],
    settings: Settings,
    life: Life,
    peers: Peers,
    metrics: Metrics,
    jobs: Jobs,
) -> Status:
    """As it is now."""
    model, previous, swap = serving.model, serving.previous, serving.last_swap
    card, info, memory = model.card, model.engine.info, MemoryBudget.of(settings, model.image_bytes)
    without_room, names = metrics.without_room
    height, width, *colours = card.shape
    return Status(
        release=release(),
        model=ModelStatus(
            **model.named,
            sha256=card.files[model.engine.artifact].sha256,
            network=card.network,
            labels=len(card.labels),
            input=InputStatus(height=height, width=width, channels=3 if colours else 1),
            preparation=card.preparation.kind,
            imported=card.imported is not None,
            data_set=card.data_set.name if card.data_set else None,
            test_accuracy=card.evaluation.accuracy if card.evaluation else None,
            created=card.created.isoformat(),
        ),
        previous=PreviousModel(version=str(previous.number)) if previous else None,
        last_swap=LastSwap.model_validate(swap) if swap else None,
        store=_store(serving),
        feedback=settings.feedback is not None,
        provider=model.engine.provider,
        provider_fallback=info.provider_fell_back,
        engine=EngineStatus.model_validate(info),
        threads=settings.threads,
        batching=Batching(
            max_batch=batcher.max_batch, max_wait=settings.max_wait, max_queue=batcher.max_queue
        ),
        queue_depth=batcher.depth,
        retraining=RetrainingStatus(
            set_up=jobs.set_up, reachable=jobs.reachable, runs=settings.runs is not None
        ),
        input_changes=[InputChangeStatus.model_validate(each) for each in metrics.input_changes()],
        memory=MemoryStatus(budget=memory.total, limit=memory.limit),
        worker=peers.slot,
        workers=[WorkerStatus.model_validate(each) for each in peers.states],
        series=SeriesStatus(without_room=without_room, names=names),
        replica=settings.replica_name,
        draining=life.draining,
        uptime_seconds=time.monotonic() - life.began,
    )


def _store(serving: ModelManager) -> StoreStatus:
    bucket, stuck = serving.bucket, serving.stuck_reads
    status = None
    if bucket is not None:
        reason = without_paths(bucket.error, serving.store) if bucket.error else None
        status = BucketStatus(reachable=reason is None, reason=reason, last_sync=bucket.last_sync)
    return StoreStatus(answers=not stuck, stuck_reads=stuck, bucket=status)

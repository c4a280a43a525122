"""The response of GET /v1/status: model, engine and its fallbacks, batching, queue, workers."""

import time

from pydantic import BaseModel, Field

from service.api.predictions import BatchPredictions
from service.batching.batcher import Batcher
from service.engine.info import EngineInfo, Fallback
from service.lifecycle import Life
from service.memory.budget import MemoryBudget
from service.models.loading import Model
from service.models.manager import ModelManager, Swap
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from service.workers.peers import Peers


class ModelStatus(BaseModel):
    name: str
    version: str
    sha256: str
    network: str
    data_set: str
    test_accuracy: float
    created: str


class PreviousModel(BaseModel):
    version: str = Field(description="loaded and warm, for a rollback that waits for nothing")


class LastSwap(BaseModel):
    version: str | None = Field(description="null: the store does not say which is current")
    result: str = Field(description="swapped, or failed_ and the check that it did not pass")
    reason: str | None = Field(description="why it does not serve")
    at: str = Field(description="when it ended")
    seconds: float = Field(description="that it took")


class EngineStatus(BaseModel):
    asked: str = Field(description="the provider, as DIGITSERVE_PROVIDER names it")
    precision: str
    artifact: str = Field(description="the version's file that runs")
    way: str = Field(description="plain runs, bound buffers, or a CUDA graph for each bucket")
    cuda_graphs: bool
    buckets: list[int] = Field(description="batch sizes others are padded to; none: none are")
    nodes: dict[str, int] = Field(description="of the graph, on each of ONNX Runtime's providers")
    fallbacks: list[Fallback] = Field(description="what differs from the settings, and why")


class Batching(BaseModel):
    max_batch: int
    max_wait: float  # seconds
    max_queue: int  # pictures


class MemoryStatus(BaseModel):
    budget: int = Field(description="bytes that all processes may take together, from the settings")
    limit: int | None = Field(
        description="bytes that there are: of the control group, or of the machine; null: unknown"
    )


class WorkerStatus(BaseModel):
    worker: int
    pid: int
    version: str | None = Field(description="null: it starts")


class SeriesStatus(BaseModel):
    without_room: int = Field(description="series that are not in /metrics, of all workers")
    names: list[str] = Field(description="the first of those of the worker that answers")


class StoreStatus(BaseModel):
    answers: bool = Field(description="whether reads of the model store end in time")
    stuck_reads: int = Field(description="that did not end by their deadline and go on")


class Status(BaseModel):
    model: ModelStatus
    previous: PreviousModel | None
    last_swap: LastSwap | None = Field(description="the last attempt to serve another version")
    store: StoreStatus
    provider: str
    provider_fallback: bool
    engine: EngineStatus
    threads: int
    batching: Batching
    queue_depth: int  # pictures
    memory: MemoryStatus
    worker: int = Field(description="which of the workers answers")
    workers: list[WorkerStatus] = Field(description="the processes that serve this port")
    series: SeriesStatus = Field(description="what no memory is left for, of the metrics")
    draining: bool
    uptime_seconds: float


def status_of(
    serving: ModelManager,
    batcher: Batcher[BatchPredictions],
    settings: Settings,
    life: Life,
    peers: Peers,
    metrics: Metrics,
) -> Status:
    """As it is now."""
    model, previous = serving.model, serving.previous
    without_room, names = metrics.without_room
    return Status(
        model=_model(model),
        previous=PreviousModel(version=str(previous.number)) if previous else None,
        last_swap=_last_swap(serving.last_swap),
        store=StoreStatus(answers=not serving.stuck_reads, stuck_reads=serving.stuck_reads),
        provider=model.engine.provider,
        provider_fallback=model.engine.info.provider_fell_back,
        engine=_engine(model.engine.info),
        threads=settings.threads,
        batching=Batching(
            max_batch=settings.max_batch,
            max_wait=settings.max_wait,
            max_queue=settings.max_queue,
        ),
        queue_depth=batcher.depth,
        memory=_memory(settings),
        worker=peers.slot,
        workers=_workers(peers),
        series=SeriesStatus(without_room=without_room, names=names),
        draining=life.draining,
        uptime_seconds=time.monotonic() - life.began,
    )


def _memory(settings: Settings) -> MemoryStatus:
    budget = MemoryBudget.of(settings)
    return MemoryStatus(budget=budget.total, limit=budget.limit)


def _model(model: Model) -> ModelStatus:
    card = model.card
    return ModelStatus(
        name=card.name,
        version=str(model.number),
        sha256=card.files[model.engine.artifact].sha256,
        network=card.network,
        data_set=card.data_set.name,
        test_accuracy=card.evaluation.accuracy,
        created=card.created.isoformat(),
    )


def _engine(facts: EngineInfo) -> EngineStatus:
    return EngineStatus(
        asked=facts.asked,
        precision=facts.precision,
        artifact=facts.artifact,
        way=facts.way,
        cuda_graphs=facts.way == "graph",
        buckets=list(facts.buckets),
        nodes=dict(facts.nodes),
        fallbacks=list(facts.fallbacks),
    )


def _last_swap(swap: Swap | None) -> LastSwap | None:
    if swap is None:
        return None
    return LastSwap(
        version=str(swap.version) if swap.version else None,
        result=swap.result,
        reason=swap.reason,
        at=swap.at.isoformat(timespec="seconds"),
        seconds=swap.seconds,
    )


def _workers(peers: Peers) -> list[WorkerStatus]:
    return [
        WorkerStatus(
            worker=row.worker, pid=row.pid, version=str(row.version) if row.version else None
        )
        for row in peers.states
    ]

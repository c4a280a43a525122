"""What was requested of an engine and what runs: for the log, /v1/status and the metrics.

No fallback is silent: each difference from the request is a `Fallback` here, with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

Provider = Literal["cpu", "cuda", "tensorrt"]
RequestedProvider = Literal["auto", "cpu", "cuda", "tensorrt"]
Precision = Literal["fp32", "fp16", "int8"]
RequestedPrecision = Literal["auto", "fp32", "fp16", "int8"]
# How a session is called: with arrays; with buffers that stay where they are; with these and one
# CUDA graph for each batch size, which replays its kernels with one launch.
ExecutionMode = Literal["plain", "bound", "graph"]
FallbackKind = Literal["provider", "precision", "cuda_graph"]  # what fell back
FALLBACK_KINDS: tuple[FallbackKind, ...] = get_args(FallbackKind)
INSTEAD: dict[FallbackKind, str] = {
    "provider": "the CPU serves and not the GPU",
    "precision": "float32 serves and not half precision",
    "cuda_graph": "plain runs serve and no CUDA graphs",
}


@dataclass(frozen=True)
class Fallback:
    what: Annotated[
        FallbackKind, Field(description="what fell back: provider, precision or cuda_graph")
    ]
    reason: str

    def __str__(self) -> str:
        return f"{INSTEAD[self.what]}: {self.reason}"


@dataclass(frozen=True)
class EngineInfo:
    asked: RequestedProvider
    provider: Provider  # that runs
    precision: Precision
    artifact: str  # the version's file that runs
    way: ExecutionMode
    buckets: tuple[int, ...]  # batch sizes that others are padded to; none: each runs as it is
    nodes: Mapping[str, int]  # of the graph, on each of ONNX Runtime's providers
    fallbacks: tuple[Fallback, ...]

    @property
    def cuda_graphs(self) -> bool:
        return self.way == "graph"

    @property
    def provider_fell_back(self) -> bool:
        return any(fallback.what == "provider" for fallback in self.fallbacks)

    def __str__(self) -> str:
        ways = {"plain": "plain runs", "bound": "bound buffers", "graph": "CUDA graphs"}
        return f"{self.provider}, {self.precision}, {ways[self.way]}"

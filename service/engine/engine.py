"""ONNX Runtime, made to prove what it runs on.

    pixels (n, h, w) or (n, h, w, 3) uint8 --> logits, probabilities (n, labels) float32

An engine is made from the bytes of a model version, so what was verified is what runs. An engine
that exists is warm: it refuses a graph that is not the one on the card, a provider that does not
run every node, and one that cannot run the requested batch sizes. Where it may do with less than
was requested (auto without a GPU, no CUDA graphs), `info` has a fallback. Its largest batch,
`max_batch`, is smaller than requested where such a batch would take too long.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np
import onnxruntime

from contract.card import ModelCard
from contract.version import Version
from service.engine.external_data import external_files
from service.engine.info import (
    EngineInfo,
    ExecutionMode,
    Fallback,
    Precision,
    Provider,
    RequestedPrecision,
    RequestedProvider,
)
from service.engine.providers import FILES, EngineRefused, chain, choose, missing_libraries, to_try
from service.engine.runners import ArrayRunner, IOBindingRunner, Runner, buckets, each_size
from service.engine.session import Session, check_graph, nodes_of, open_session
from service.lifecycle import DaemonExecutor
from service.tensors import Answers, Pixels

LONG = 0.1  # seconds
WARM_UP = 2.0  # seconds in which every batch size is warmed up; later only some are
STEP = 1.25  # from one of these sizes to the next
BEST: dict[Provider, ExecutionMode] = {"cpu": "plain", "cuda": "graph", "tensorrt": "plain"}
# One thread does all of the process's work on the GPU: ONNX Runtime keeps CUDA graphs for each
# thread, and while one is recorded CUDA forbids every other thread to copy or allocate, which would
# fail the requests that another version answers meanwhile.
ON_GPU = DaemonExecutor("gpu")


class Engine:
    """One model version on one provider, warm. Calls are safe from any thread."""

    def __init__(
        self,
        version: Version,
        *,
        provider: RequestedProvider,
        threads: int,
        precision: RequestedPrecision = "auto",
        max_batch: int = 64,
        max_batch_seconds: float = inf,
        way: ExecutionMode | None = None,
        cache_in: Path | None = None,
        fallbacks: tuple[Fallback, ...] = (),
    ) -> None:
        """`max_batch_seconds`: what a batch may take; one image may take longer.

        `way`: None for the provider's best. `cache_in`: where TensorRT keeps what it builds.
        `fallbacks`: what this engine itself takes the place of.
        """
        order = _Order(
            version, provider, threads, precision, max_batch, max_batch_seconds, cache_in
        )
        self.shape = version.card.shape  # of one image
        info, self._runner, self.max_batch = _first_that_runs(order, way)
        self.info = replace(info, fallbacks=(*fallbacks, *info.fallbacks))
        on_cpu = info.provider == "cpu"
        self._seconds = order.seconds(self._runner, self.max_batch) if on_cpu else inf
        self.artifact = self.info.artifact  # the file that runs
        self.provider = self.info.provider

    def __call__(self, pixels: Pixels) -> Answers:
        """Any number of images from 1; more than `max_batch` go in pieces."""
        if self.provider == "cpu":
            return self._answer(pixels)
        return ON_GPU.submit(self._answer, pixels).result()

    def seconds(self, images: int) -> float:
        """What a call takes of the thread that makes it, at most; inf where it waits for a GPU."""
        return self._seconds * -(-images // self.max_batch)

    def _answer(self, pixels: Pixels) -> Answers:
        n, most = len(pixels), self.max_batch
        if n <= most:
            return self._runner(pixels)
        pieces = [self._runner(pixels[start : start + most]) for start in range(0, n, most)]
        return Answers(*(np.concatenate(rows) for rows in zip(*pieces, strict=True)))


@dataclass(frozen=True)
class _Order:
    """What an engine is to be, on whichever provider."""

    version: Version
    asked: RequestedProvider
    threads: int
    precision: RequestedPrecision
    max_batch: int
    max_batch_seconds: float
    cache_in: Path | None

    def on(self, provider: Provider, way: ExecutionMode) -> "_Running":
        """EngineRefused unless all of it runs there, that way, every batch size."""
        card = self.version.card
        precision = choose(self.precision, provider, card)
        artifact = FILES[precision]
        session = self._session(provider, precision, graphs=way == "graph")
        check_graph(artifact, session, card)
        padded = () if (provider, way) == ("cpu", "plain") else buckets(self.max_batch)
        try:
            running = _running(session, card, padded, provider, way)
            prepare = partial(self._warm, running, padded)
            max_batch = prepare() if provider == "cpu" else ON_GPU.submit(prepare).result()
        except Exception as error:  # of CUDA, cuDNN, TensorRT: the message is all there is
            raise EngineRefused(f"{artifact} does not run on {provider}: {error}") from error
        nodes = nodes_of(session)
        info = EngineInfo(self.asked, provider, precision, artifact, way, padded, nodes, ())
        return info, running, max_batch

    def seconds(
        self, runner: Runner, images: int, clock: Callable[[], float] = thread_time
    ) -> float:
        """Of a call with that many. CPU time, for another version may be serving meanwhile."""
        pixels = np.zeros((images, *self.version.card.shape), np.uint8)
        best = inf
        for _ in range(3):
            began = clock()
            runner(pixels)
            best = min(best, clock() - began)
            if best > LONG:  # near enough
                break
        return best

    def _warm(self, runner: Runner, padded: tuple[int, ...]) -> int:
        """Warm up every batch size that may occur; returns the largest."""
        if padded:
            for size in padded:
                runner.warm_up(size)
            # A call waits for a GPU, which takes none of its thread's time.
            fit = [
                n for n in padded if self.seconds(runner, n, perf_counter) <= self.max_batch_seconds
            ]
            return max(fit, default=1)
        runner.warm_up(1)
        max_batch = self._largest_batch(runner)
        began, due = perf_counter(), 0.0
        for size in each_size(max_batch):
            if size >= due or size == max_batch:
                runner.warm_up(size)
                if perf_counter() - began > WARM_UP:
                    due = size * STEP
        return max_batch

    def _largest_batch(self, runner: Runner) -> int:
        """Of those that take no longer than they may, at least one image."""
        alone = self.seconds(runner, 1)
        most = self._bounded(self.max_batch, alone)
        return self._bounded(most, self.seconds(runner, most) / most)

    def _bounded(self, images: int, seconds: float) -> int:
        """So many of them as together take no longer than they may; `seconds` is for each."""
        if images * seconds <= self.max_batch_seconds:
            return images
        return max(1, int(self.max_batch_seconds / seconds))

    def _session(self, provider: Provider, precision: Precision, *, graphs: bool) -> Session:
        artifact = FILES[precision]
        options = chain(
            provider,
            precision=precision,
            shape=self.version.card.shape,
            max_batch=self.max_batch,
            graphs=graphs,
            cache_in=self._cache(artifact) if provider == "tensorrt" else None,
        )
        missing = () if provider == "cpu" else missing_libraries()
        try:
            graph = self.version.read(artifact)
            files = _weights(self.version, artifact, graph)
            return open_session(artifact, graph, files, options, threads=self.threads)
        except EngineRefused as refusal:
            if not missing:
                raise
            raise EngineRefused(f"{'; '.join(missing)} ({refusal})") from refusal

    def _cache(self, artifact: str) -> Path | None:
        """A folder of this file's own: TensorRT names engines without regard to weights."""
        if self.cache_in is None:
            return None
        sha256 = self.version.card.files[artifact].sha256
        folder = self.cache_in / f"{onnxruntime.__version__}-{sha256[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineRefused(f"TensorRT cannot keep its engines: {error}") from error
        return folder


def _weights(version: Version, artifact: str, graph: bytes) -> dict[str, bytes]:
    """The contents of the files that the graph has weights in, which must be on the card."""
    try:
        names = external_files(graph)
    except ValueError as error:
        raise EngineRefused(f"{artifact} is not loaded: {error}") from error
    if elsewhere := sorted(names - version.card.files.keys()):
        raise EngineRefused(
            f"{artifact} has weights in {elsewhere[0][:200]!r}, which is not a file on the "
            f"version's card: publish the version with the weights in {artifact}, or beside it"
        )
    return {name: version.read(name) for name in sorted(names)}


_Running = tuple[EngineInfo, Runner, int]  # and the largest batch


def _running(
    session: Session,
    card: ModelCard,
    padded: tuple[int, ...],
    provider: Provider,
    way: ExecutionMode,
) -> Runner:
    if way == "plain":
        return ArrayRunner(session, card, padded)
    device = "cpu" if provider == "cpu" else "cuda"
    return IOBindingRunner(session, card, padded, device, graphs=way == "graph")


def _first_that_runs(order: _Order, way: ExecutionMode | None) -> _Running:
    """On the first provider that runs it; the info names those that did not."""
    *better, last = to_try(order.asked)
    refused: list[Fallback] = []
    for provider in better:
        try:
            return _with_or_without_graphs(order, provider, way or BEST[provider])
        except EngineRefused as refusal:
            refused.append(Fallback("provider", str(refusal)))
    info, runner, most = _with_or_without_graphs(order, last, way or BEST[last])
    return replace(info, fallbacks=(*refused, *info.fallbacks)), runner, most


def _with_or_without_graphs(order: _Order, provider: Provider, way: ExecutionMode) -> _Running:
    try:
        return order.on(provider, way)
    except EngineRefused as refusal:
        if way != "graph" or (provider != "cpu" and missing_libraries()):
            raise
        reason = str(refusal)
    # A session that was made for graphs, or failed while it recorded one, is of no use without.
    info, runner, most = order.on(provider, "plain")
    return replace(info, fallbacks=(Fallback("cuda_graph", reason),)), runner, most

"""Runners: how a session of ONNX Runtime is called, with arrays or with buffers that stay, and the
batch sizes that an engine is prepared for.

    ArrayRunner      n images --pad--> arrays --> ONNX Runtime copies, runs, copies --> arrays
    IOBindingRunner  n images --copy--> the size's input buffer --> run --> its output buffers
                     --copy--> arrays

A CUDA graph is a run of IOBindingRunner that was recorded once for each size and is replayed: it
reads and writes the addresses it was recorded with, which is why the buffers must stay. Both
return a row for each image, in arrays of their own that the next call leaves alone.

A GPU plans anew for each size it has not seen, and a CUDA graph is of one size. So there a batch is
padded to the next of a few sizes, 1, 2, 4, ... max_batch, at most twice its own. A CPU takes each
size as it is: a padded image costs it as much as a real one.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import takewhile
from threading import Lock

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contract.card import INPUT, LOGITS, PROBABILITIES, ModelCard
from service.engine.providers import EngineRefused
from service.engine.session import Session
from service.tensors import Answers, Pixels, Rows

OFF = 0.01  # between two runs of the same kernels; another image's answers are off by far more
NO_CAPTURE = "-1"  # as gpu_graph_id


class ArrayRunner:
    """Sizes are padded to the next of `buckets`; with none, each runs as it is."""

    def __init__(self, session: Session, card: ModelCard, buckets: Sequence[int]) -> None:
        self._session = session
        self._shape = card.shape
        self._buckets = buckets

    def __call__(self, pixels: Pixels) -> Answers:
        n = len(pixels)
        size = self._buckets[bisect_left(self._buckets, n)] if self._buckets else n
        if size > n:
            padded = np.zeros((size, *self._shape), np.uint8)
            padded[:n] = pixels
            pixels = padded
        logits, probabilities = self._session.run([LOGITS, PROBABILITIES], {INPUT: pixels})
        if size == n:
            return Answers(logits, probabilities)
        return Answers(logits[:n], probabilities[:n])

    def warm_up(self, size: int) -> None:
        self(np.zeros((size, *self._shape), np.uint8))


class IOBindingRunner:
    """Buffers on `device` for each of `buckets`; with `graphs`, one CUDA graph for each."""

    def __init__(
        self,
        session: Session,
        card: ModelCard,
        buckets: Sequence[int],
        device: str,
        *,
        graphs: bool,
    ) -> None:
        if graphs and not _captures(session):
            raise EngineRefused(f"{session.get_providers()[0]} records no CUDA graphs")
        self._session = session
        self._shape = card.shape
        self._buckets = buckets
        self._sizes = {size: _Buffers(session, card, size, device) for size in buckets}
        self._graphs = graphs
        self._one_at_a_time = Lock()  # the buffers are the callers' in turn

    def __call__(self, pixels: Pixels) -> Answers:
        size = self._buckets[bisect_left(self._buckets, len(pixels))]
        return self._answer(pixels, size, capture=self._graphs)

    def warm_up(self, size: int) -> None:
        """Run a size, and record its graph; EngineRefused unless that answers as a plain run."""
        blank = np.zeros((size, *self._shape), np.uint8)
        noise = np.random.default_rng(0).integers(0, 256, blank.shape).astype(np.uint8)
        expected = self._answer(noise, size, capture=False)
        self._answer(blank, size, capture=False)  # a graph needs two runs before it
        if not self._graphs:
            return
        self._answer(blank, size, capture=True)
        self._answer(blank, size, capture=True)
        replayed = self._answer(noise, size, capture=True)
        off = max(float(np.abs(a - b).max()) for a, b in zip(expected, replayed, strict=True))
        if not off <= OFF:  # NaN is not
            raise EngineRefused(f"the graph for {size} images is off by {off:.3g}")

    def _answer(self, pixels: Pixels, size: int, *, capture: bool) -> Answers:
        buffers = self._sizes[size]
        with self._one_at_a_time:
            buffers.fill(pixels)
            buffers.run(self._session, capture=capture)
            return buffers.answers(len(pixels))


Runner = ArrayRunner | IOBindingRunner


class _Buffers:
    """Input and outputs of one batch size, and how to run it."""

    def __init__(self, session: Session, card: ModelCard, size: int, device: str) -> None:
        pixels = np.zeros((size, *card.shape), np.uint8)
        rows = np.zeros((size, len(card.labels)), np.float32)
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        # Rows that a smaller batch leaves free keep what was there: nobody reads their answers.
        self._staged = pixels
        self._input = value(pixels.copy(), device, 0)
        self._logits = value(rows.copy(), device, 0)
        self._probabilities = value(rows.copy(), device, 0)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(INPUT, self._input)
        self._binding.bind_ortvalue_output(LOGITS, self._logits)
        self._binding.bind_ortvalue_output(PROBABILITIES, self._probabilities)
        self._captured, self._plain = _run_options(str(size)), _run_options(NO_CAPTURE)

    def fill(self, pixels: Pixels) -> None:
        self._staged[: len(pixels)] = pixels
        self._input.update_inplace(self._staged)

    def run(self, session: Session, *, capture: bool) -> None:
        session.run_with_iobinding(self._binding, self._captured if capture else self._plain)
        self._binding.synchronize_outputs()

    def answers(self, n: int) -> Answers:
        return Answers(_copied(self._logits, n), _copied(self._probabilities, n))


def _copied(value: onnxruntime.OrtValue, n: int) -> Rows:
    rows: NDArray[np.float32] = value.numpy()[:n]  # on a CPU that is the buffer itself
    return rows.copy()


def _run_options(graph: str) -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", graph)
    return options


def _captures(session: Session) -> bool:
    """Whether the provider that runs took the option; others drop it without a word."""
    options = session.get_provider_options()[session.get_providers()[0]]
    return bool(options.get("enable_cuda_graph") == "1")


EACH_SIZE = 256  # images; up to here every batch size is warmed up on a CPU


def buckets(max_batch: int) -> tuple[int, ...]:
    """The powers of two below `max_batch`, and `max_batch`."""
    powers = takewhile(lambda size: size < max_batch, (2**power for power in range(64)))
    return (*powers, max_batch)


def each_size(max_batch: int) -> tuple[int, ...]:
    """Every size up to EACH_SIZE, then every EACH_SIZE-th: all would take minutes.

    The first run of each size plans its memory, which takes longer.
    """
    some = range(EACH_SIZE, max_batch, EACH_SIZE)
    return (*range(1, min(max_batch, EACH_SIZE)), *some, max_batch)

"""ONNX Runtime, made to prove what it runs on.

    pixels (n, 28, 28) uint8 --> logits (n, labels), probabilities (n, labels), float32

An engine is made from the bytes of a model version, so what was verified is what runs. It refuses a
graph that is not the one on the card, and a session whose nodes do not all run on the provider
asked for.
"""

from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contract.card import INPUT, LOGITS, ONNX, PROBABILITIES, SIDE, ModelCard, TensorFacts
from contract.version import Version
from service.life import CannotStart

Pixels = NDArray[np.uint8]  # (n, 28, 28)
Rows = NDArray[np.float32]  # (n, labels)

EACH_SIZE = 256  # pictures; up to here every batch size is warmed up
PROVIDERS = {"cpu": "CPUExecutionProvider"}  # as the settings name them: as ONNX Runtime does


class EngineRefused(CannotStart):
    """The graph or the provider is not what was asked for; the message says which."""


class Answers(NamedTuple):
    logits: Rows
    probabilities: Rows


class Engine:
    """One model version on one provider. Calls are safe from any one thread at a time."""

    def __init__(self, version: Version, *, provider: str, threads: int) -> None:
        self.artifact = ONNX  # the file that runs
        self.provider = "cpu" if provider == "auto" else provider
        self._session = _session(version.read(self.artifact), PROVIDERS[self.provider], threads)
        _check_graph(self._session, version.card)

    def __call__(self, pixels: Pixels) -> Answers:
        return Answers(*self._session.run([LOGITS, PROBABILITIES], {INPUT: pixels}))

    def warm_up(self, max_batch: int) -> None:
        """Run every batch size once: the first run of each plans its memory, which takes longer.

        Beyond EACH_SIZE only every EACH_SIZE-th: all would take minutes and save a millisecond.
        """
        sizes = [*range(1, min(max_batch, EACH_SIZE)), *range(EACH_SIZE, max_batch, EACH_SIZE)]
        for size in (*sizes, max_batch):
            self(np.zeros((size, SIDE, SIDE), np.uint8))


def _session(model: bytes, provider: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from the event loop beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        # Without enable_fallback=0 a provider that fails is replaced by the CPU, with a print.
        session = onnxruntime.InferenceSession(
            model, options, providers=[provider], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise EngineRefused(f"ONNX Runtime cannot load {ONNX} on {provider}: {error}") from error
    elsewhere = {part.ep_name for part in session.get_provider_graph_assignment_info()} - {provider}
    if elsewhere or session.get_providers()[0] != provider:
        raise EngineRefused(
            f"{provider} was asked for, but parts of the graph run on "
            f"{', '.join(sorted(elsewhere)) or session.get_providers()[0]}"
        )
    return session


def _check_graph(session: onnxruntime.InferenceSession, card: ModelCard) -> None:
    types = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
    found = [
        TensorFacts.model_construct(
            name=tensor.name, dtype=types.get(tensor.type, tensor.type), shape=tuple(tensor.shape)
        )
        for tensor in (*session.get_inputs(), *session.get_outputs())
    ]
    if found != [card.input, *card.outputs]:
        raise EngineRefused(f"{ONNX} has the tensors {found}, the card says otherwise")

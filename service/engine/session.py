"""A session of ONNX Runtime that runs on the requested provider, or none.

Left to itself ONNX Runtime replaces a provider that does not come up by the CPU, with a line on
stderr at most. Each of these finds out another way in which it does:

* `enable_fallback=0`: Python's own replacement, at the start and after a failed run;
* `session.disable_cpu_ep_fallback`: parts of the graph given to the CPU;
* `get_providers()[0]`: a library that does not load, which is no error at all;
* the graph's assignment: where each node is, also to be shown.

Which answers come out is checked by the golden set, once the engine is there.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

import onnxruntime

from contract.card import ModelCard, TensorFacts
from service.engine.providers import CPU, Chain, EngineRefused

Session: TypeAlias = onnxruntime.InferenceSession


def open_session(
    name: str, model: bytes, files: Mapping[str, bytes], chain: Chain, *, threads: int
) -> Session:
    """EngineRefused unless every node is on a provider of the chain.

    `name` is the file's; `files` are the contents of those that the graph has its weights in.
    """
    first = chain[0][0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait would take the cores from the event loop beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Not ONNX Runtime's own format, which it would take as well: nobody has read what that names.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if files:
        options.add_external_initializers_from_files_in_memory(
            [*files], [*files.values()], [*map(len, files.values())]
        )
    if first != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = Session(model, options, providers=chain, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise EngineRefused(f"ONNX Runtime cannot load {name} on {first}: {error}") from error
    elsewhere = set(nodes_of(session)) - {provider for provider, _ in chain}
    if elsewhere or session.get_providers()[0] != first:
        raise EngineRefused(
            f"{first} was requested, but parts of the graph run on "
            f"{', '.join(sorted(elsewhere)) or session.get_providers()[0]}"
        )
    return session


def nodes_of(session: Session) -> Mapping[str, int]:
    """How many nodes of the graph each provider has."""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    return nodes


def check_graph(name: str, session: Session, card: ModelCard) -> None:
    """EngineRefused if the tensors are not those on the card."""
    types = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
    found = [
        TensorFacts.model_construct(
            name=tensor.name, dtype=types.get(tensor.type, tensor.type), shape=tuple(tensor.shape)
        )
        for tensor in (*session.get_inputs(), *session.get_outputs())
    ]
    if found != [card.input, *card.outputs]:
        raise EngineRefused(f"{name} has the tensors {found}, the card says otherwise")

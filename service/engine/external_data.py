"""Which files an ONNX graph keeps its weights in, read from its bytes.

ONNX lets a tensor name a file that its values are in. ONNX Runtime resolves that name against the
working directory where a graph comes as bytes, so a graph could read any file of the machine. It
takes the content from memory instead, but only for the tensors of the outermost graph. Every other
place that a tensor may be in is therefore looked through as well, and must name no file.

The `onnx` package, which knows the format, is not part of the service; what is needed here are the
fields of protobuf messages that lead to a tensor (onnx/onnx.proto).
"""

from collections.abc import Iterator

# Message: number of a field: the message in it.
FIELDS = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "ExternalData"},
}
OUTERMOST = ("Model", "Graph", "Tensor", "ExternalData")
KEY, VALUE = 1, 2  # fields of ExternalData
OPERATOR = 4  # field of Node
COMPILED = b"EPContext"  # an operator that names a file with a graph compiled for one provider
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types
LONGEST_VARINT = 10  # bytes


def external_files(model: bytes) -> set[str]:
    """The names, as the graph gives them, of the files that hold its weights.

    ValueError if a tensor elsewhere than in the outermost graph names one, or the bytes are no
    graph.
    """
    files = set()
    waiting: list[tuple[tuple[str, ...], memoryview]] = [(("Model",), memoryview(model))]
    while waiting:
        path, message = waiting.pop()
        inside = FIELDS.get(path[-1], {})
        entry: dict[int, bytes] = {}
        for number, content in _fields(message):
            if number in inside:
                waiting.append(((*path, inside[number]), content))
            elif path[-1] == "ExternalData":
                entry[number] = bytes(content)
            elif path[-1] == "Node" and number == OPERATOR and content == COMPILED:
                raise ValueError("it names a file with a compiled graph (EPContext)")
        if entry.get(KEY) == b"location":
            name = entry.get(VALUE, b"").decode(errors="replace")
            if path != OUTERMOST:
                raise ValueError(
                    f"a tensor of a subgraph, attribute or function is in the file {name[:200]!r}; "
                    "only an initializer of the outermost graph may be in a file"
                )
            files.add(name)
    return files


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field that has a length; others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == BYTES:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif kind in (FIXED_64, FIXED_32):
            at += 8 if kind == FIXED_64 else 4
        else:
            raise ValueError("it is not an ONNX graph")
    if at > len(message):
        raise ValueError("it is not an ONNX graph, or not all of one")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = 0
    for place, byte in enumerate(message[at : at + LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("it is not an ONNX graph")

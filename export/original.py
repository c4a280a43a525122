"""A model that was trained elsewhere, as an ONNX file: what it takes and returns, and its answers.

    model.onnx --read--> one input of images, one output with a number for each class
               --ONNX Runtime, as it is--> the answers that the imported model must reproduce

The input is (n, c, h, w), (n, h, w, c) or (n, h, w), its numbers floats or bytes. What does not fit
is refused with BadModel, which names the file and the tensor or node, and says what to do.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from contract.memory import free_memory
from export.artifacts import OPSETS
from export.runners import Pixels, Rows

OLDEST_OPSET = 7  # since then, operands of different shapes are broadcast
PROTOBUF = 2**31 - 2**20  # bytes that one ONNX file may have, less those that are added to it
COPIES = 4  # of a model's bytes that are in memory while it is imported
TYPES: dict[int, str] = {  # of an input
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT8: "uint8",
}

Layout = Literal["NCHW", "NHWC", "NHW"]
Numbers = NDArray[Any]  # (n, c, h, w), (n, h, w, c) or (n, h, w), of the input's type


class BadModel(Exception):
    """A model that cannot be imported; the message says why, and what to do."""


@dataclass(frozen=True)
class ImageInput:
    """The input of a model for images."""

    name: str
    dtype: int  # a key of TYPES
    layout: Layout
    batch: int | None  # images that it takes at once; None: any number
    shape: tuple[int, ...]  # of one image as pixels: (h, w) or (h, w, 3)

    def __str__(self) -> str:
        batch = "n" if self.batch is None else f"{self.batch}"
        height, width, channels = *self.shape[:2], 3 if len(self.shape) == 3 else 1
        sides = {"NCHW": (channels, height, width), "NHWC": (height, width, channels)}
        shape = ", ".join(map(str, sides.get(self.layout, (height, width))))
        return f"{self.name!r} {TYPES[self.dtype]} ({batch}, {shape})"


@dataclass(frozen=True)
class ClassOutput:
    """The output with a number for each class."""

    name: str
    classes: int
    rank: int  # 2, or more with axes of length 1


class Original:
    """A model as ONNX Runtime runs it, on one thread."""

    def __init__(self, path: Path, *, size: tuple[int, int] | None, gray: bool) -> None:
        """`size` and `gray` are needed where the file leaves the shape of its images open."""
        self.path = path
        self.model = read_model(path)
        self.input = _image_input(self.model, path, size=size, gray=gray)
        self._session = _session(path)

    @property
    def parameters(self) -> int:
        return sum(int(np.prod(each.dims)) for each in self.model.graph.initializer)

    @property
    def opset(self) -> int:
        return opset_of(self.model)

    def outputs(self, images: Numbers) -> dict[str, NDArray[Any]]:
        """All outputs, for as many images as the input takes at once."""
        names = [each.name for each in self._session.get_outputs()]
        try:
            values = self._session.run(names, {self.input.name: images})
        except Exception as error:  # ONNX Runtime's errors have no class in common
            raise BadModel(f"{self.path} does not run: {runtime_error(error)}") from error
        return dict(zip(names, values, strict=True))

    def class_output(self, images: Numbers, labels: int) -> ClassOutput:
        """The output that holds a number for each class, found on these images."""
        found = self.outputs(images)
        fitting = {
            name: value
            for name, value in found.items()
            if isinstance(value, np.ndarray) and _has_classes(value, len(images))
        }
        exact = [name for name, value in fitting.items() if value.shape[1] == labels]
        if not fitting:
            shapes = ", ".join(f"{name!r} {_shape_of(value)}" for name, value in found.items())
            raise BadModel(
                f"{self.path} has no output with a row of numbers, one for each class, for each of "
                f"{len(images)} images: {shapes}. Export the model with an output (n, classes)"
            )
        if len(fitting) > 1 and not exact:
            shapes = ", ".join(f"{name!r} {value.shape}" for name, value in fitting.items())
            raise BadModel(f"{self.path} has no output with {labels} classes: {shapes}")
        name = (exact or [*fitting])[0]
        return ClassOutput(name, fitting[name].shape[1], fitting[name].ndim)

    def rows(self, images: Iterable[Numbers], output: ClassOutput) -> Rows:
        """The numbers of that output (n, classes) for single images."""
        size = self.input.batch or 1
        rows: list[Rows] = []
        for image in images:  # a batch of copies of one image: the others cannot have an effect
            value = self.outputs(np.repeat(image[None], size, 0))[output.name]
            rows.append(value[:1].reshape(1, -1).astype(np.float32))
        return np.concatenate(rows)

    def first_not_finite(self, image: Numbers) -> str:
        """The first node that makes NaN or infinity of an image, as a part of a sentence."""
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        names = [name for node in model.graph.node for name in node.output if name]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        with suppress(Exception):  # it is only a hint
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), _options(), providers=["CPUExecutionProvider"]
            )
            images = np.repeat(image[None], self.input.batch or 1, 0)
            values = session.run(names, {self.input.name: images})
            for name, value in zip(names, values, strict=True):
                if value.dtype.kind == "f" and not np.isfinite(value).all():
                    node = next(each for each in model.graph.node if name in each.output)
                    return f", first at the node {node.name or name!r} ({node.op_type})"
        return ""


def read_model(path: Path) -> ModelProto:
    """The model in the file, with the weights that it stores in other files of its folder."""
    try:
        size = path.stat().st_size
        check_fits(path, size)
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise BadModel(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise BadModel(f"{path} does not fit into the memory of this machine") from error
    except Exception as error:  # protobuf's errors have no class in common
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"{path} is not an ONNX file") from error
    if not model.graph.node or not model.graph.output:
        raise BadModel(f"{path} is not an ONNX file: it has no graph")
    _load_external_data(model, path, size)
    if not OLDEST_OPSET <= opset_of(model) <= OPSETS[-1]:
        raise BadModel(
            f"{path} uses the ONNX operator set {opset_of(model)}; those from {OLDEST_OPSET} to "
            f"{OPSETS[-1]} can be imported: export it again with opset_version={OPSETS[0]}"
        )
    return model


def check_fits(path: Path, size: int) -> None:
    """BadModel if `size` bytes of weights are too many for an ONNX file, or for the free memory."""
    if size > PROTOBUF:
        raise BadModel(
            f"{path} has {size / 1e9:.1f} GB of weights, and an ONNX file holds at most 2 GB: "
            "export a smaller model, or the weights in half precision"
        )
    check_memory(path, size)


def check_memory(path: Path, size: int) -> None:
    """BadModel if a file of `size` bytes needs more memory than is free."""
    if (free := free_memory()) is not None and size * COPIES > free:
        raise BadModel(
            f"{path} holds {size / 1e9:.1f} GB and needs about {size * COPIES / 1e9:.1f} "
            f"GB of memory, {free / 1e9:.1f} GB are free: import it on a larger machine"
        )


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators; 0 where it uses none."""
    return max(
        (each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0
    )


def runtime_error(error: Exception) -> str:
    """The part of an error of ONNX Runtime that names the node and the reason."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"Load model from \S+ failed:|Exception during initialization: ", "", text)
    return re.sub(r"\S*/onnxruntime/\S+:\d+ .*?\) ", "", text).strip().splitlines()[0].rstrip(".")


def _load_external_data(model: ModelProto, path: Path, size: int) -> None:
    """Read weights that are stored in other files; they must be in the model's folder."""
    files: set[Path] = set()
    folder = path.parent.resolve()
    for tensor in _tensors(model.graph):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        location = next((each.value for each in tensor.external_data if each.key == "location"), "")
        file = (folder / location).resolve()
        if not file.is_relative_to(folder):
            raise BadModel(
                f"{path} stores the tensor {tensor.name!r} in {location}, outside its own folder: "
                "put the file beside the model, and save the model again with that location"
            )
        if not file.is_file():
            raise BadModel(
                f"{path} stores the tensor {tensor.name!r} in {file}, which does not exist: copy "
                "that file too"
            )
        files.add(file)
    if not files:
        return
    check_fits(path, size + sum(file.stat().st_size for file in files))
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadModel(f"the weights of {path} cannot be read from other files: {error}") from error


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All constants, also those of graphs within nodes."""
    yield from graph.initializer
    for attribute in (each for node in graph.node for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _image_input(
    model: ModelProto, path: Path, *, size: tuple[int, int] | None, gray: bool
) -> ImageInput:
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(repr(each.name) for each in inputs) or "none"
        raise BadModel(
            f"{path} has the inputs {names}; a classifier of images has one: export the model with "
            "the others as constants"
        )
    (value,) = inputs
    kind = value.type.tensor_type
    if kind.elem_type not in TYPES:
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise BadModel(
            f"{path}: the input {value.name!r} is of type {found}, and images are of one of "
            f"{', '.join(TYPES.values())}"
        )
    sides = [each.dim_value or None for each in kind.shape.dim]
    layout, sides = _layout(sides, f"{path}: the input {value.name!r}", gray=gray)
    batch, height, width, channels = sides
    shape = _size(height, width, size, f"{path}: the input {value.name!r}")
    if gray and channels == 3:
        raise BadModel(f"{path}: the input {value.name!r} has 3 colours: leave out --gray")
    colours = (3,) if channels == 3 else ()
    return ImageInput(value.name, kind.elem_type, layout, batch, (*shape, *colours))


def _layout(sides: list[int | None], name: str, *, gray: bool) -> tuple[Layout, list[int | None]]:
    """The layout, and its sides as n, h, w, c; None: any length."""
    text = f"({', '.join('n' if side is None else str(side) for side in sides)})"
    if len(sides) == 3:
        return "NHW", [*sides, 1]
    if len(sides) != 4:
        raise BadModel(f"{name} has the shape {text}; images are (n, c, h, w) or (n, h, w, c)")
    n, first, second, last = sides
    if first in (1, 3):
        return "NCHW", [n, second, last, first]
    if last in (1, 3):
        return "NHWC", [n, first, second, last]
    if first is None:
        return "NCHW", [n, second, last, 1 if gray else 3]
    raise BadModel(
        f"{name} has the shape {text}, without an axis of 1 or 3 colours: images are (n, c, h, w) "
        "or (n, h, w, c)"
    )


def _size(
    height: int | None, width: int | None, wanted: tuple[int, int] | None, name: str
) -> tuple[int, int]:
    if wanted is None and (height is None or width is None):
        raise BadModel(f"{name} takes images of any size: choose one with --size, such as 224")
    found = (height or (wanted or (0, 0))[0], width or (wanted or (0, 0))[1])
    if wanted not in (None, found):
        raise BadModel(f"{name} takes images of {found[0]} x {found[1]}, so --size cannot differ")
    return found


def _session(path: Path) -> Any:
    try:
        return onnxruntime.InferenceSession(
            path, _options(), providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's errors have no class in common
        advice = ""
        if re.search("No Op registered|not a registered|NOT_IMPLEMENTED", str(error)):
            advice = ". Export the model with operators that it has"
        reason = f"{runtime_error(error)}{advice}"
        raise BadModel(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {path}: {reason}"
        ) from error


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; the log would repeat them
    return options


def _has_classes(value: NDArray[Any], images: int) -> bool:
    """Whether it is (n, classes), or that with further axes of length 1."""
    return (
        value.dtype.kind == "f"
        and value.ndim >= 2
        and value.shape[0] == images
        and value.shape[1] >= 2
        and value[0].size == value.shape[1]
    )


def _shape_of(value: Any) -> str:
    return f"{value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def as_input(pixels: Pixels, layout: Layout) -> NDArray[np.uint8]:
    """Pixels (n, h, w[, 3]) in the layout of an input."""
    if layout == "NHW":
        return pixels
    coloured = pixels if pixels.ndim == 4 else pixels[..., None]  # (n, h, w, c)
    return coloured if layout == "NHWC" else np.moveaxis(coloured, 3, 1)

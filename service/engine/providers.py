"""ONNX Runtime's execution providers: which there are, what each needs, how each is set, and which
file of a version runs on each.

cpu        always there
cuda       the wheel onnxruntime-gpu, NVIDIA's libraries (its extras) and driver
tensorrt   these and TensorRT's libraries; what it leaves alone runs on cuda
auto       cuda if the wheel was built for it, else cpu; never tensorrt

The precision `auto` is half precision on a GPU if this version lost nothing by it, and float32
otherwise: half precision and integers are there for processors with instructions for them, and
slower on others.
"""

import contextlib
import ctypes
import io
import sys
from functools import cache
from pathlib import Path

import onnxruntime

from contract.card import FP16, INPUT, INT8, ONNX, ModelCard
from contract.settings import export_command, gpu_installation
from service.engine.info import Precision, Provider, RequestedPrecision, RequestedProvider
from service.errors import CannotStart

Chain = list[tuple[str, dict[str, str]]]  # ONNX Runtime's names and options, the first choice first

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
NAMES: dict[Provider, str] = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}


class EngineRefused(CannotStart):
    """The graph or the provider is not what was requested; the message says which."""


def to_try(requested: RequestedProvider) -> tuple[Provider, ...]:
    """In this order; more than one only for auto. EngineRefused if the wheel lacks it.

    A wheel without CUDA has nothing to fall back from: on it, auto means cpu.
    """
    built = onnxruntime.get_available_providers()  # into the wheel: says nothing about the machine
    if requested == "auto":
        return ("cuda", "cpu") if CUDA in built else ("cpu",)
    if NAMES[requested] not in built:
        raise EngineRefused(
            f"the provider {requested} was requested, but the installed ONNX Runtime was built "
            f"without it: {gpu_installation()}"
        )
    return (requested,)


@cache
def missing_libraries() -> tuple[str, ...]:
    """Load what CUDA needs, from NVIDIA's wheels or the system; a line for each that does not load.

    Once is enough, before the first session. ONNX Runtime prints what is missing, and then makes a
    session without CUDA and without an error.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    lines = printed.getvalue().splitlines()
    failed = [line.partition(": ")[2] for line in lines if line.startswith("Failed to load ")]
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            failed.append(f"{error} (NVIDIA's driver)")
    return tuple(failed)


def chain(
    provider: Provider,
    *,
    precision: Precision,
    shape: tuple[int, ...],
    max_batch: int,
    graphs: bool = False,
    cache_in: Path | None = None,
) -> Chain:
    """`shape` is that of one image, (h, w) or (h, w, 3)."""
    if provider == "cpu":
        return [(CPU, {})]
    if provider == "cuda":
        return [(CUDA, _cuda(graphs))]
    return [
        (TENSORRT, _tensorrt(precision, shape, max_batch, cache_in)),
        (CUDA, _cuda(graphs=False)),
    ]


def _cuda(graphs: bool) -> dict[str, str]:
    return {
        # The default tries every algorithm for each new shape: seconds, for the same speed after.
        "cudnn_conv_algo_search": "HEURISTIC",
        "do_copy_in_default_stream": "1",  # on a stream of their own copies may race
        "arena_extend_strategy": "kSameAsRequested",  # not the next power of two
        "use_tf32": "0",  # its 10 bits are half precision's, and float32 was proven with 23
        "enable_cuda_graph": str(int(graphs)),
    }


def _tensorrt(
    precision: Precision, shape: tuple[int, ...], max_batch: int, cache_in: Path | None
) -> dict[str, str]:
    image = "x".join(map(str, shape))
    options = {
        "trt_profile_min_shapes": f"{INPUT}:1x{image}",
        "trt_profile_opt_shapes": f"{INPUT}:{max_batch}x{image}",
        "trt_profile_max_shapes": f"{INPUT}:{max_batch}x{image}",
        "trt_fp16_enable": str(int(precision == "fp16")),
        "trt_int8_enable": str(int(precision == "int8")),
    }
    if cache_in is not None:
        folder = str(cache_in)
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return options


FILES: dict[Precision, str] = {"fp32": ONNX, "fp16": FP16, "int8": INT8}


def choose(requested: RequestedPrecision, provider: Provider, card: ModelCard) -> Precision:
    """EngineRefused if the version has no such file."""
    if requested == "auto":
        return "fp16" if provider != "cpu" and lost_nothing(card) else "fp32"
    name = FILES[requested]
    if name not in card.files:
        reason = card.left_out.get(name, "it was not exported")
        raise EngineRefused(
            f"the precision {requested} was requested, but this version has no {name} ({reason}): "
            f"`{export_command()}` makes a version with every artifact"
        )
    return requested


def lost_nothing(card: ModelCard) -> bool:
    """Whether half precision answers the whole test set no worse than float32, by the proof.

    No worse: each answer that differs from PyTorch's turned from wrong to right. So it is right on
    more test images than float32 by at least the number of answers that differ; as a rule both
    are 0. Where the images had no labels, no answer may differ. The proof ran on a CPU; the golden
    set is what checks the GPU.
    """
    if FP16 not in card.files or FP16 not in card.parity or ONNX not in card.parity:
        return False
    half, full = card.parity[FP16], card.parity[ONNX]
    if half.accuracy is None or full.accuracy is None or card.data_set is None:
        return half.different_answers == 0
    more_right = round((half.accuracy - full.accuracy) * card.data_set.test)  # images
    return more_right >= half.different_answers

"""The engine runs its version on the requested provider, or fails.

Every test of predictions runs on each provider that this machine has and in each mode of running
there, so a machine with a GPU tests CUDA with the same assertions.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from contract.card import FP16, INT8, ONNX
from contract.version import Version
from service.engine.engine import Engine
from service.engine.info import ExecutionMode, Precision, RequestedProvider
from service.engine.providers import EngineRefused, choose, lost_nothing, missing_libraries
from service.engine.runners import ArrayRunner, buckets, each_size
from service.tensors import Pixels
from tests.fixtures import Judged

GPU_BUILD = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
CUDA = GPU_BUILD and not missing_libraries()

on_cuda = pytest.mark.skipif(not CUDA, reason="needs an NVIDIA GPU and onnxruntime-gpu")
Kind = tuple[RequestedProvider, ExecutionMode]
ON_CPU: list[Kind] = [("cpu", "plain"), ("cpu", "bound")]
ON_CUDA: list[Kind] = [("cuda", "plain"), ("cuda", "bound"), ("cuda", "graph")]
KINDS = ON_CPU + (ON_CUDA if CUDA else [])


def pictures(n: int) -> Pixels:
    return np.random.default_rng(n).integers(0, 256, (n, 28, 28)).astype(np.uint8)


@pytest.fixture(
    scope="module",
    params=KINDS,
    ids=lambda kind: " ".join(kind),
)
def engine(request: pytest.FixtureRequest, version: Version) -> Engine:
    """One engine per provider and mode; its largest batch is 24, which is not a power of two."""
    provider, way = request.param
    engine = Engine(version, provider=provider, threads=1, precision="fp32", max_batch=24, way=way)
    assert (engine.provider, engine.info.way) == (provider, way)
    return engine


# ---- predictions -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 24, 25, 63, 200])
def test_it_answers_as_pytorch_does(engine: Engine, judged: Judged, n: int) -> None:
    answers = engine(judged.pixels[:n])
    assert np.allclose(answers.logits, judged.logits[:n], atol=1e-3)
    assert np.allclose(answers.probabilities, judged.probabilities[:n], atol=1e-4)


def test_answers_are_not_overwritten_by_the_next_batch(engine: Engine) -> None:
    first = engine(pictures(3))
    kept = first.logits.copy(), first.probabilities.copy()
    engine(255 - pictures(3))
    assert np.array_equal(first.logits, kept[0])
    assert np.array_equal(first.probabilities, kept[1])


def test_leftovers_of_a_larger_batch_change_no_answer(engine: Engine) -> None:
    alone = engine(pictures(5))
    engine(255 - pictures(8))
    assert np.array_equal(engine(pictures(5)).logits, alone.logits)


def test_concurrent_threads_each_get_their_own_answers(engine: Engine) -> None:
    sizes = [1, 2, 3, 5, 8, 13, 24] * 8
    expected = {n: engine(pictures(n)).logits for n in set(sizes)}
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: engine(pictures(n)).logits, sizes))
    for n, logits in zip(sizes, found, strict=True):
        assert np.allclose(logits, expected[n], atol=1e-5)


def test_the_facts_list_where_every_node_runs(engine: Engine) -> None:
    name = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[engine.provider]
    assert list(engine.info.nodes) == [name]
    assert engine.info.nodes[name] > 5
    assert engine.info.fallbacks == ()


# ---- batch sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_batch", "sizes"),
    [(1, (1,)), (2, (1, 2)), (24, (1, 2, 4, 8, 16, 24)), (64, (1, 2, 4, 8, 16, 32, 64))],
)
def test_buckets_are_the_powers_of_two_and_the_largest_batch(
    max_batch: int, sizes: tuple[int, ...]
) -> None:
    assert buckets(max_batch) == sizes


@pytest.mark.parametrize(
    ("max_batch", "sizes"),
    [(1, (1,)), (64, (*range(1, 65),)), (1000, (*range(1, 257), 512, 768, 1000))],
)
def test_on_a_cpu_all_small_and_some_large_batch_sizes_are_warmed_up(
    max_batch: int, sizes: tuple[int, ...]
) -> None:
    assert each_size(max_batch) == sizes


@pytest.mark.parametrize(("seconds", "largest"), [(60.0, 24), (1e-9, 1)])
def test_a_batch_is_as_large_as_its_time_permits(
    version: Version, judged: Judged, seconds: float, largest: int
) -> None:
    engine = Engine(version, provider="cpu", threads=1, max_batch=24, max_batch_seconds=seconds)
    assert engine.max_batch == largest
    assert np.allclose(engine(judged.pixels[:5]).logits, judged.logits[:5], atol=1e-3)


def test_only_plain_runs_on_a_cpu_take_every_batch_size_unpadded(engine: Engine) -> None:
    as_they_are = (engine.provider, engine.info.way) == ("cpu", "plain")
    assert engine.info.buckets == (() if as_they_are else (1, 2, 4, 8, 16, 24))


@on_cuda
def test_on_a_gpu_each_bucket_has_a_cuda_graph(version: Version) -> None:
    info = Engine(version, provider="auto", threads=1, max_batch=24).info
    assert (info.provider, info.way, info.fallbacks) == ("cuda", "graph", ())
    assert info.precision == choose("auto", "cuda", version.card)


# ---- errors and fallbacks ---------------------------------------------------------------------


def test_a_graph_that_does_not_match_the_card_is_rejected(version: Version) -> None:
    fewer = version.card.model_copy(update={"outputs": version.card.outputs[:1]})
    with pytest.raises(EngineRefused, match=r"model\.onnx has the tensors .*probabilities"):
        Engine(replace(version, card=fewer), provider="cpu", threads=1)


def test_without_cuda_graphs_plain_runs_serve_and_the_reason_is_reported(
    version: Version, judged: Judged
) -> None:
    """A CPU cannot record graphs. A GPU that fails to record one behaves the same."""
    engine = Engine(version, provider="cpu", threads=1, max_batch=4, way="graph")
    assert engine.info.way == "plain"
    [fallback] = engine.info.fallbacks
    assert fallback.what == "cuda_graph"
    assert "CPUExecutionProvider records no CUDA graphs" in fallback.reason
    assert not engine.info.provider_fell_back
    assert len(engine(judged.pixels[:9]).logits) == 9


@pytest.mark.skipif(GPU_BUILD, reason="this ONNX Runtime was built for GPUs")
def test_auto_means_cpu_on_a_build_without_cuda_and_is_no_fallback(version: Version) -> None:
    info = Engine(version, provider="auto", threads=1, max_batch=1).info
    assert (info.provider, info.fallbacks) == ("cpu", ())


@pytest.mark.skipif(GPU_BUILD, reason="this ONNX Runtime was built for GPUs")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_build_without_the_requested_provider_says_what_to_install(
    version: Version, provider: RequestedProvider
) -> None:
    with pytest.raises(EngineRefused, match=f"provider {provider} was requested, .* group `gpu`"):
        Engine(version, provider=provider, threads=1)


@pytest.mark.skipif(GPU_BUILD, reason="this ONNX Runtime was built for GPUs")
def test_in_a_container_of_compose_it_names_the_file_for_gpus(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITSERVE_COMPOSE", "true")
    with pytest.raises(EngineRefused, match=r"-f docker-compose.gpu.yml up"):
        Engine(version, provider="cuda", threads=1)


needs_gpu_build = pytest.mark.skipif(
    not GPU_BUILD or CUDA, reason="needs onnxruntime-gpu on a machine without a GPU"
)


@needs_gpu_build
def test_auto_without_a_gpu_serves_on_the_cpu_and_reports_why(version: Version) -> None:
    info = Engine(version, provider="auto", threads=1, max_batch=1).info
    assert (info.provider, info.provider_fell_back) == ("cpu", True)
    assert "cannot open shared object file" in info.fallbacks[0].reason


@needs_gpu_build
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_requested_gpu_that_is_absent_is_an_error(
    version: Version, provider: RequestedProvider
) -> None:
    with pytest.raises(EngineRefused, match="cannot open shared object file"):
        Engine(version, provider=provider, threads=1)


# ---- precision ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "file"), [("fp32", ONNX), ("fp16", FP16), ("int8", INT8)])
def test_the_file_of_the_requested_precision_runs(
    version: Version, judged: Judged, precision: Precision, file: str
) -> None:
    engine = Engine(version, provider="cpu", threads=1, precision=precision, max_batch=2)
    assert (engine.artifact, engine.info.precision) == (file, precision)
    found = engine(judged.pixels).logits
    largest = np.abs(found - judged.logits).max()
    assert largest == pytest.approx(version.card.parity[file].largest_difference, rel=0.1, abs=1e-4)
    assert np.array_equal(found.argmax(1), judged.digits)


def test_the_error_about_a_missing_precision_names_the_file(version: Version) -> None:
    card = version.card.model_copy(
        update={
            "files": {name: info for name, info in version.card.files.items() if name != INT8},
            "left_out": {INT8: "it loses 0.2 points"},
        }
    )
    with pytest.raises(EngineRefused, match=r"no model\.int8\.onnx \(it loses 0\.2 points\).*make"):
        Engine(replace(version, card=card), provider="cpu", threads=1, precision="int8")


@pytest.mark.parametrize(
    ("more_right", "different", "nothing_lost"),
    [
        pytest.param(0, 0, True, id="every answer is the same"),
        pytest.param(1, 1, True, id="one differs, and is right now"),
        pytest.param(0, 2, False, id="one is right now, another wrong"),
        pytest.param(-1, 1, False, id="one is wrong now"),
        pytest.param(0, 1, False, id="one is as wrong as before, but another"),
    ],
)
def test_half_precision_is_used_on_a_gpu_if_no_test_image_got_worse(
    version: Version, more_right: int, different: int, nothing_lost: bool
) -> None:
    assert version.card.data_set is not None
    full = version.card.parity[ONNX].model_copy(update={"accuracy": 0.9})
    accuracy = 0.9 + more_right / version.card.data_set.test
    half = full.model_copy(update={"accuracy": accuracy, "different_answers": different})
    card = version.card.model_copy(update={"parity": {ONNX: full, FP16: half}})
    assert lost_nothing(card) is nothing_lost
    assert choose("auto", "cuda", card) == ("fp16" if nothing_lost else "fp32")
    assert choose("auto", "cpu", card) == "fp32"


def test_a_version_without_half_precision_runs_in_float32_on_a_gpu(version: Version) -> None:
    card = version.card.model_copy(update={"files": {ONNX: version.card.files[ONNX]}})
    assert choose("auto", "cuda", card) == "fp32"


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_padding_a_batch_does_not_change_its_answers(
    version: Version, pixels: Pixels, n: int
) -> None:
    """On a GPU each size costs memory, so a batch is padded to one of a few sizes."""
    session = onnxruntime.InferenceSession(version.folder / ONNX)
    padded = ArrayRunner(session, version.card, (1, 4, 8))(pixels[:n])
    plain = ArrayRunner(session, version.card, ())(pixels[:n])
    np.testing.assert_allclose(padded.logits, plain.logits, atol=1e-4)
    np.testing.assert_allclose(padded.probabilities, plain.probabilities, atol=1e-4)

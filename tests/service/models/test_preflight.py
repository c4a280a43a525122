"""A version that takes too much time or memory is rejected, and the previous one keeps serving."""

import io
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.card import GOLDEN, ONNX
from contract.store import Store
from contract.version import Version
from tests.support.marks import slow
from tests.support.metrics import metric
from tests.support.pictures import encoded, seven
from tests.support.running import ADMIN, TOKEN, Service, status, wait_until
from tests.support.versions import publish, two_versions

LOOP, CONSTANTS, GREEDY, BOMB = 3, 4, 5, 6  # versions
LOAD_TIMEOUT = 6  # seconds: other versions load in one, or a few on a busy machine
LOAD_MEMORY = 400 * 2**20


def constant(graph: onnx.GraphProto, name: str, array: NDArray[Any]) -> str:
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def added_to_logits(draft: Path, extend: Callable[[onnx.GraphProto], str]) -> None:
    """The same graph with a scalar added to its logits, which `extend` computes and names."""
    model = onnx.load(draft / ONNX)
    (last,) = (node for node in model.graph.node if "logits" in node.output)
    last.output[:] = ["before"]
    addend = extend(model.graph)
    model.graph.node.append(helper.make_node("Add", ["before", addend], ["logits"]))
    softmax = next(node for node in model.graph.node if "probabilities" in node.output)
    model.graph.node.remove(softmax)  # in topological order, with the output last
    model.graph.node.append(softmax)
    onnx.save(model, draft / ONNX)


def loop(draft: Path) -> None:
    """A loop of some 10,000 years in the warm-up."""

    def extend(graph: onnx.GraphProto) -> str:
        scalar = helper.make_tensor_value_info
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["going_on"], ["goes_on"]),
                helper.make_node("Add", ["sum", "step"], ["next"]),
            ],
            "body",
            [
                scalar("turn", TensorProto.INT64, []),
                scalar("going_on", TensorProto.BOOL, []),
                scalar("sum", TensorProto.FLOAT, []),
            ],
            [scalar("goes_on", TensorProto.BOOL, []), scalar("next", TensorProto.FLOAT, [])],
        )
        constant(graph, "turns", np.array(2**60))
        constant(graph, "yes", np.array(True))
        constant(graph, "step", np.array(0, np.float32))
        graph.node.append(helper.make_node("Loop", ["turns", "yes", "step"], ["looped"], body=body))
        return "looped"

    added_to_logits(draft, extend)


def filled(graph: onnx.GraphProto, *sides: int) -> str:
    """A large matrix that needs no space in the file."""
    constant(graph, "sides", np.array(sides))
    fill = numpy_helper.from_array(np.array([0.5], np.float32), "fill")
    graph.node.append(helper.make_node("ConstantOfShape", ["sides"], ["filled"], value=fill))
    return "filled"


def constants(draft: Path) -> None:
    """Ten minutes of products of constants, which ONNX Runtime computes at load."""

    def extend(graph: onnx.GraphProto) -> str:
        matrix = filled(graph, 64, 200_000)
        product = constant(graph, "product", np.zeros((64, 64), np.float32))
        for turn in range(20_000):
            operands, product = [matrix, matrix, product], f"product{turn}"
            graph.node.append(helper.make_node("Gemm", operands, [product], transB=1))
        graph.node.append(helper.make_node("ReduceMin", [product], ["least"], keepdims=0))
        return "least"

    added_to_logits(draft, extend)


def greedy(draft: Path) -> None:
    """A matrix of 6.4 GB."""

    def extend(graph: onnx.GraphProto) -> str:
        graph.node.append(
            helper.make_node("ReduceMin", [filled(graph, 40_000, 40_000)], ["least"], keepdims=0)
        )
        return "least"

    added_to_logits(draft, extend)


def bomb(draft: Path) -> None:
    """A golden set of 200 MB, compressed to 0.2 MB."""
    file = io.BytesIO()
    pixels = np.zeros((250_000, 28, 28), np.uint8)
    np.savez_compressed(file, pixels=pixels, logits=np.zeros((250_000, 10), np.float32))
    (draft / GOLDEN).write_bytes(file.getvalue())


@pytest.fixture(scope="module")
def store(published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = two_versions(published, tmp_path_factory.mktemp("preflight"))
    numbers = [publish(store, published[1], each) for each in (loop, constants, greedy, bomb)]
    assert numbers == [LOOP, CONSTANTS, GREEDY, BOMB]
    return store


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    store.activate(1)
    with Service.started(
        store.folder.parent,
        admin_token=TOKEN,
        load_timeout=LOAD_TIMEOUT,
        load_memory=LOAD_MEMORY,
        request_timeout=1,
        drain_seconds=0,
        watch_seconds=0,
    ) as service:
        yield service


def activate(service: Service, number: int) -> Any:
    with service.client(headers=ADMIN) as client:
        return client.post(f"/v1/models/digits/versions/{number}/activate")


def predicted(service: Service) -> str:
    """The version that answers a prediction."""
    with service.client(headers={"Content-Type": "image/png"}) as client:
        answer = client.post("/v1/predict", content=encoded(seven()))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model"]["version"])


def processes_of(service: Service) -> list[int]:
    """The running child processes of the service."""
    children = Path(f"/proc/{service.process.pid}/task").glob("*/children")
    return [int(pid) for path in children for pid in path.read_text().split()]


def peak_memory(service: Service) -> int:
    """The peak resident memory in bytes."""
    facts = Path(f"/proc/{service.process.pid}/status").read_text()
    (line,) = (line for line in facts.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


TOO_SLOW = (
    f"it is not loaded and proven within {LOAD_TIMEOUT} s, the limit of DIGITSERVE_LOAD_TIMEOUT"
)


@pytest.mark.parametrize(
    ("number", "gate", "reasons"),
    [
        slow(LOOP, "load", [TOO_SLOW]),
        slow(CONSTANTS, "load", [TOO_SLOW]),
        (GREEDY, "load", ["400 MiB", "the limit of DIGITSERVE_LOAD_MEMORY"]),
        slow(BOMB, "golden", [f"{BOMB}/golden.npz holds no golden set: it inflates to 206"]),
    ],
    ids=["loop", "constants", "greedy", "bomb"],
)
def test_a_version_that_takes_too_much_is_rejected_and_the_old_one_serves(
    service: Service, store: Store, number: int, gate: str, reasons: list[str]
) -> None:
    before = peak_memory(service)
    refused = activate(service, number)
    assert refused.status_code == 409, refused.text
    for reason in (f"the check '{gate}' failed", *reasons):
        assert reason in refused.json()["detail"]
    assert predicted(service) == "1"
    reported = status(service)["last_swap"]
    assert (reported["version"], reported["result"]) == (str(number), f"failed_{gate}")
    assert metric(service, f'model_swap_total{{result="failed_{gate}"}}') == 1
    assert processes_of(service) == []
    assert peak_memory(service) - before < 100 * 2**20
    assert activate(service, 2).status_code == 200
    assert predicted(service) == "2"
    assert store.current() == 2
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0


def being_checked(service: Service, responses: list[Any] | None = None) -> int:
    """Activate the version that loops; return the process that checks it."""

    def ask() -> None:
        with suppress(httpx2.TransportError):  # the service is killed before it answers
            response = activate(service, LOOP)
            if responses is not None:
                responses.append(response)

    threading.Thread(target=ask, daemon=True).start()
    wait_until(lambda: processes_of(service), service)
    (child,) = processes_of(service)
    return child


def test_while_a_version_is_checked_other_switches_wait_and_are_rejected(service: Service) -> None:
    being_checked(service)
    paths = (
        "/v1/models/digits/versions/2/activate",
        "/v1/models/digits/rollback",
        "/v2/repository/models/digits/load",
        "/v2/repository/models/digits/unload?version=2",
    )
    with service.client(headers=ADMIN) as client, ThreadPoolExecutor(len(paths)) as threads:
        answers = [*threads.map(client.post, paths)]
    for answer in answers:
        assert answer.status_code == 409
        assert f"a switch to version {LOOP} is under way, since" in answer.text
    assert predicted(service) == "1"


def test_a_signal_stops_a_service_that_checks_a_version(service: Service) -> None:
    responses: list[Any] = []
    child = being_checked(service, responses)
    service.send(signal.SIGTERM)
    assert service.exit_code() == 0
    assert not running(child)
    (response,) = responses
    assert response.status_code == 503
    assert "the service is stopping" in response.text


def test_a_preflight_process_ends_when_its_service_is_killed(service: Service) -> None:
    child = being_checked(service)
    service.process.kill()
    service.exit_code()
    wait_until(lambda: not running(child), service)


def running(pid: int) -> bool:
    """Whether a process, which may be orphaned, has not ended."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, slow(2)])
@pytest.mark.parametrize(
    ("number", "timeout", "setting"), [(LOOP, 2, "TIMEOUT"), (GREEDY, 30, "MEMORY")]
)
def test_the_service_does_not_start_with_a_version_that_takes_too_much(
    store: Store, workers: int, number: int, timeout: float, setting: str
) -> None:
    store.activate(number)
    refused = Service(
        store.folder.parent, workers=workers, load_timeout=timeout, load_memory=LOAD_MEMORY
    )
    assert refused.exit_code() == 2, refused.log
    assert f"version {number} of digits: " in refused.log
    assert f"the limit of DIGITSERVE_LOAD_{setting}" in refused.log


@pytest.mark.slow
def test_workers_load_a_version_one_after_another(store: Store) -> None:
    """The other worker is notified and checks the version itself."""
    store.activate(1)
    with Service.started(
        store.folder.parent, workers=2, admin_token=TOKEN, watch_seconds=0, drain_seconds=0
    ) as service:
        switched = activate(service, 2).json()
        assert (switched["model"]["version"], switched["behind"]) == ("2", [])
        assert {row["version"] for row in status(service)["workers"]} == {"2"}
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0

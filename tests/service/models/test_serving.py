"""Requests continue while another version takes over; a failed switch changes nothing."""

import asyncio
import fcntl
import gc
import io
import os
import re
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from contract import signature
from contract.files import locked
from contract.memory import free_memory
from contract.store import LOCK, Store
from contract.version import Version
from service.errors import Problem
from service.models import preflight
from service.models.backoff import Backoff
from service.models.loading import GateFailed, Model, load
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from tests.fixtures import Judged
from tests.support.cgroups import Groups
from tests.support.metrics import metric
from tests.support.pictures import encoded, seven
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service, status, wait_to_read, wait_until
from tests.support.versions import give_a_newer_schema, publish, two_versions
from tools import swap


def write_current(store: Store, content: str) -> None:
    """Write `current` by hand, atomically: a watcher would count a partial file as a failure."""
    written = store.folder / "current.written"
    written.write_text(content)
    written.replace(store.folder / "current")


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path / "models")


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0.05) as service:
        yield service


@pytest.fixture(scope="module")
def steady(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service for tests in which no switch succeeds."""
    models = two_versions(published, tmp_path_factory.mktemp("steady")).folder.parent
    with Service.started(models, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


def admin(service: Service, path: str, **headers: str) -> Any:
    with service.client() as client:
        return client.post(f"/v1/models/{path}", headers=headers or ADMIN)


def predicted(service: Service) -> tuple[str, str]:
    """The version that answers, and its label for a seven."""
    with service.client(headers={"Content-Type": "image/png"}) as client:
        answer = client.post("/v1/predict", content=encoded(seven())).json()
    return answer["model"]["version"], answer["predictions"][0]["label"]


# ---- switching ---------------------------------------------------------------------------------


def test_activating_makes_the_next_answer_come_from_the_new_version(
    service: Service, store: Store
) -> None:
    assert predicted(service) == ("1", "7")
    response = admin(service, "digits/versions/2/activate")
    assert response.status_code == 200
    assert response.json() == {
        "model": {"name": "digits", "version": "2"},
        "previous": "1",
        "behind": [],
        "warnings": ["Versions 2 and 1 have different labels: not compared."],
    }
    assert predicted(service) == ("2", "h")
    assert store.current() == 2
    reported = status(service)
    assert (reported["model"]["version"], reported["previous"]) == ("2", {"version": "1"})
    assert reported["last_swap"]["result"] == "swapped"
    assert reported["last_swap"]["reason"] is None
    assert metric(service, 'model_swap_total{result="swapped"}') == 1
    wait_to_read("version 2 serves in place of 1", service)


YEAR = 365 * 24 * 3600  # seconds
CLOCK = """
import runpy, sys, time
from pathlib import Path
real, offset = time.time, Path(sys.argv.pop(1))
time.time = lambda: real() + float(offset.read_text())
runpy.run_module("service", run_name="__main__")
"""


@pytest.mark.slow
def test_durations_are_correct_when_the_wall_clock_is_set_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a year: uptime continues, and the last switch was some seconds ago."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setattr(Service, "command", (sys.executable, "-c", CLOCK, str(offset)))
    with Service.started(store.folder.parent, admin_token=TOKEN) as service:
        assert admin(service, "digits/versions/2/activate").status_code == 200
        before = status(service)
        offset.write_text(str(-YEAR))
        after = status(service)
    assert 0 < before["uptime_seconds"] <= after["uptime_seconds"]
    set_back = _instant(before) - _instant(after)
    assert abs(set_back.total_seconds() - YEAR) <= 1  # it is reported in whole seconds


def _instant(reported: Any) -> datetime:
    return datetime.fromisoformat(reported["last_swap"]["at"])


def test_a_version_that_is_no_longer_current_when_loaded_does_not_serve(
    store: Store,
) -> None:
    """Loading may take any time here: versions are checked one at a time."""
    settings = {"admin_token": TOKEN, "watch_seconds": 0.05, "request_timeout": 0.2}
    with Service.started(store.folder.parent, **settings) as service:
        with preflight.PROGRAM.open("rb") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            write_current(store, "2")
            wait_until(lambda: "to version 2 is under way" in reason_of_rejection(service), service)
            write_current(store, "1")
        wait_until(lambda: admin(service, "digits/versions/1/activate").status_code == 200, service)
        assert status(service)["last_swap"] is None
    assert "version 2 serves" not in service.log


def reason_of_rejection(service: Service) -> str:
    """Of a switch to a version that does not exist, so that the probe itself switches to none."""
    detail: str = admin(service, "digits/versions/99/activate").json().get("detail", "")
    return detail


def test_the_metrics_have_only_the_version_that_serves(service: Service) -> None:
    admin(service, "digits/versions/2/activate")
    with service.client() as client:
        lines = re.findall(r"^digitserve_model_info.*$", client.get("/metrics").text, re.MULTILINE)
    assert len(lines) == 1
    assert 'version="2"' in lines[0]


def test_rollback_serves_the_previous_version_without_reloading_it(
    service: Service, store: Store
) -> None:
    loaded = metric(service, "model_load_seconds")
    admin(service, "digits/versions/2/activate")
    assert metric(service, "model_load_seconds") != loaded
    assert admin(service, "digits/rollback").json()["model"]["version"] == "1"
    assert predicted(service) == ("1", "7")
    assert metric(service, "model_load_seconds") == loaded
    assert [each.action for each in store.history()] == ["activate", "activate", "rollback"]
    refused = admin(service, "digits/rollback")
    assert refused.status_code == 409
    assert "no version that was current before" in refused.json()["detail"]


def test_a_warm_version_is_verified_again(service: Service, store: Store) -> None:
    admin(service, "digits/versions/2/activate")
    (store.folder / "1/model.onnx").write_bytes(b"other")
    response = admin(service, "digits/rollback")
    assert response.status_code == 409
    assert "1/model.onnx is not the file" in response.json()["detail"]
    assert status(service)["last_swap"]["result"] == "failed_verify"
    write_current(store, "1\n")
    failures = 'model_swap_total{result="failed_verify"}'
    wait_until(lambda: metric(service, failures) >= 2, service)
    assert predicted(service)[0] == "2"


def test_switching_between_identical_versions_reports_the_current_number(
    service: Service, store: Store
) -> None:
    """Identical files, cards included, as if copied from one store to another."""
    shutil.copytree(store.folder / "1", store.folder / "3")
    for number in ("3", "1", "3"):
        answered = admin(service, f"digits/versions/{number}/activate").json()
        assert answered["model"]["version"] == number
        assert store.current() == int(number)
        assert predicted(service) == (number, "7")
    assert admin(service, "digits/rollback").json()["model"]["version"] == "1"
    assert predicted(service) == ("1", "7")
    assert status(service)["model"]["version"] == "1"


def test_activating_the_serving_version_changes_nothing(service: Service, store: Store) -> None:
    assert admin(service, "digits/versions/1/activate").status_code == 200
    assert status(service)["last_swap"] is None
    assert len(store.history()) == 1


def test_a_switch_by_another_program_is_followed(service: Service, store: Store) -> None:
    store.activate(2)
    wait_until(lambda: predicted(service) == ("2", "h"), service)
    store.rollback()
    wait_until(lambda: predicted(service) == ("1", "7"), service)


def test_a_service_with_watching_disabled_does_not_follow(store: Store) -> None:
    models = store.folder.parent
    with Service.started(models, admin_token=TOKEN, watch_seconds=0) as service:
        store.activate(2)
        time.sleep(0.3)
        assert predicted(service)[0] == "1"
        assert admin(service, "digits/versions/2/activate").status_code == 200
        assert predicted(service)[0] == "2"


# ---- authorization -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"X": "y"}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}],
    ids=["none", "wrong", "another scheme"],
)
@pytest.mark.parametrize("path", ["digits/versions/2/activate", "digits/rollback"])
def test_a_switch_needs_the_admin_token(
    steady: Service, path: str, headers: dict[str, str]
) -> None:
    response = admin(steady, path, **headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert predicted(steady)[0] == "1"


def test_without_an_admin_token_the_routes_are_closed(store: Store) -> None:
    with Service.started(store.folder.parent) as service:
        response = admin(service, "digits/versions/2/activate")
    assert response.status_code == 403
    assert "DIGITSERVE_ADMIN_TOKEN is not set" in response.json()["detail"]


@pytest.mark.parametrize("token", ["short secret", "a long one with a letter \u00e9"])
def test_an_unusable_token_is_rejected_and_never_logged(store: Store, token: str) -> None:
    refused = Service(store.folder.parent, admin_token=token)
    assert refused.exit_code() == 2
    assert "DIGITSERVE_ADMIN_TOKEN=...: " in refused.log
    assert token not in refused.log


@pytest.mark.parametrize(
    "path",
    ["digits/versions/9/activate", "digits/versions/two/activate", "letters/versions/1/activate"],
)
def test_an_unknown_version_or_model_is_404(steady: Service, path: str) -> None:
    response = admin(steady, path)
    assert response.status_code == 404
    assert response.json()["title"].startswith("No such")
    assert status(steady)["last_swap"] is None  # a typing error is no failed swap


# ---- rejected versions -------------------------------------------------------------------------


def shift_golden(draft: Path) -> None:
    with np.load(draft / "golden.npz") as golden:
        arrays = {"pixels": golden["pixels"], "logits": golden["logits"] + np.float32(0.01)}
    np.savez(draft / "golden.npz", **arrays)


def spoil_probabilities(draft: Path) -> None:
    model = onnx.load(draft / "model.onnx")
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    softmax.op_type = "Identity"
    del softmax.attribute[:]
    onnx.save(model, draft / "model.onnx")


def no_graph(draft: Path) -> None:
    (draft / "model.onnx").write_bytes(b"no graph")


def graph_for_pairs(draft: Path) -> None:
    """A graph that declares any batch size and loads, but fails for odd batches."""
    weights = numpy_helper.from_array(np.zeros((1568, 10), np.float32), "weights")
    shape = numpy_helper.from_array(np.array([-1, 1568]), "shape")
    nodes = [
        helper.make_node("Cast", ["pixels"], ["ink"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["ink", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    tensor = helper.make_tensor_value_info
    inputs = [tensor("pixels", TensorProto.UINT8, ["n", 28, 28])]
    outputs = [tensor(name, TensorProto.FLOAT, ["n", 10]) for name in ("logits", "probabilities")]
    graph = helper.make_graph(nodes, "two", inputs, outputs, [weights, shape])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), draft / "model.onnx")


BAD = {
    "wrong logits": (
        shift_golden,
        "golden",
        r"answers 64 of 64 golden .*: a logit is off by 0\.01",
    ),
    "wrong probabilities": (spoil_probabilities, "golden", r"wrongly: a probability is off"),
    "no graph": (no_graph, "load", r"model\.onnx is not loaded: it is not an ONNX graph"),
    "a graph that fails": (graph_for_pairs, "load", r"Reshape"),
}


@pytest.mark.parametrize(("change", "gate", "reason"), BAD.values(), ids=BAD)
def test_a_version_that_fails_a_gate_does_not_serve_and_the_reason_is_reported(
    service: Service,
    store: Store,
    version: Version,
    change: Callable[[Path], None],
    gate: str,
    reason: str,
) -> None:
    number = publish(store, version, change)
    response = admin(service, f"digits/versions/{number}/activate")
    assert response.status_code == 409
    assert re.search(reason, response.json()["detail"])
    assert predicted(service) == ("1", "7")
    assert store.current() == 1
    reported = status(service)["last_swap"]
    assert (reported["version"], reported["result"]) == (str(number), f"failed_{gate}")
    assert re.search(reason, reported["reason"])
    wait_to_read(rf"version {number} does not serve, 1 goes on .*{reason}", service)
    assert "Traceback" not in service.log
    assert metric(service, f'model_swap_total{{result="failed_{gate}"}}') == 1


def bytes_of(save: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


IMAGES, LOGITS = np.zeros((2, 28, 28), np.uint8), np.zeros((2, 10), np.float32)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        bytes_of(lambda file: np.save(file, IMAGES)),
        bytes_of(lambda file: np.savez(file, pixels=IMAGES)),
        bytes_of(lambda file: np.savez(file, pixels=IMAGES[:0], logits=LOGITS[:0])),
        bytes_of(lambda file: np.savez(file, pixels=IMAGES / 1.0, logits=LOGITS)),
        bytes_of(lambda file: np.savez(file, pixels=IMAGES, logits=LOGITS[:, :9])),
    ],
    ids=["empty", "text", "no archive", "no logits", "no images", "floats", "other labels"],
)
def test_the_error_about_an_invalid_golden_set_names_the_file(
    version: Version, tmp_path: Path, content: bytes
) -> None:
    store = Store(tmp_path, "digits")
    number = publish(store, version, lambda draft: (draft / "golden.npz").write_bytes(content))
    with pytest.raises(GateFailed, match=r"golden\.npz holds no golden set") as refused:
        load(store, number, Settings(threads=1))  # type: ignore[call-arg]
    assert refused.value.gate == "golden"


@pytest.mark.slow
def test_a_failing_current_version_is_retried_with_increasing_delays(
    service: Service, store: Store, version: Version
) -> None:
    number = publish(store, version, shift_golden)
    write_current(store, f"{number}\n")
    failures = 'model_swap_total{result="failed_golden"}'
    wait_until(lambda: metric(service, failures) >= 3, service)
    time.sleep(1)  # twenty polls; the delays are 0.1, 0.2, 0.4, 0.8 s
    assert metric(service, failures) <= 6
    assert service.log.count("does not serve") == 1
    assert predicted(service)[0] == "1"
    store.activate(2)  # another version does not wait
    wait_until(lambda: predicted(service)[0] == "2", service)


def test_delays_double_up_to_a_minute_without_overflow() -> None:
    retry = Backoff(1.0)
    assert retry.due(4)
    for _ in range(2000):
        retry.failed(4)
    assert not retry.due(4)
    assert retry.due(5)
    retry.forget()
    assert retry.due(4)


def test_a_broken_current_version_is_logged_once_and_served_when_repaired(
    service: Service, store: Store
) -> None:
    """As when files arrive after the switch, on a network file system."""
    model = store.folder / "2/model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    write_current(store, "2\n")
    failures = 'model_swap_total{result="failed_verify"}'
    wait_until(lambda: metric(service, failures) >= 2, service)
    reported = status(service)["last_swap"]
    assert reported["reason"].startswith("2/model.onnx is not the file that its card describes")
    assert predicted(service)[0] == "1"
    wait_to_read("does not serve", service)
    assert service.log.count("does not serve") == 1
    model.write_bytes(content)
    wait_until(lambda: predicted(service)[0] == "2", service)


@pytest.mark.parametrize("content", ["nonsense", ""])
def test_a_damaged_current_file_is_reported_and_changes_nothing(
    service: Service, store: Store, content: str
) -> None:
    write_current(store, content)
    wait_until(lambda: status(service)["last_swap"] is not None, service)
    assert "current must hold a version number" in status(service)["last_swap"]["reason"]
    assert status(service)["last_swap"]["version"] is None
    assert predicted(service)[0] == "1"


def test_a_store_that_cannot_record_the_switch_keeps_the_serving_version(
    service: Service, store: Store
) -> None:
    (store.folder / "history.jsonl").unlink()
    (store.folder / "history.jsonl").mkdir()
    response = admin(service, "digits/versions/2/activate")
    assert response.status_code == 409
    assert response.json()["title"] == "Not recorded"
    assert predicted(service)[0] == "1"
    assert status(service)["last_swap"]["result"] == "failed_record"


def test_errors_of_a_switch_do_not_reveal_the_path_of_the_store(
    service: Service, store: Store
) -> None:
    refusals = [admin(service, "digits/versions/99/activate"), admin(service, "digits/rollback")]
    (store.folder / "2/model.onnx").unlink()
    refusals.append(admin(service, "digits/versions/2/activate"))
    (store.folder / "history.jsonl").write_text("nonsense\n")
    refusals.append(admin(service, "digits/rollback"))
    assert [refusal.status_code for refusal in refusals] == [404, 409, 409, 409]
    for refusal in refusals:
        assert str(store.folder.parent) not in refusal.text


def test_rollback_with_a_damaged_history_is_rejected_and_reported(
    service: Service, store: Store
) -> None:
    (store.folder / "history.jsonl").write_text("nonsense\n")
    response = admin(service, "digits/rollback")
    assert response.status_code == 409
    assert "line 1 is not a switch" in response.json()["detail"]
    reported = status(service)["last_swap"]
    assert reported["result"] == "failed_record"
    assert str(store.folder) not in reported["reason"]


def test_a_card_with_a_newer_schema_asks_for_an_update(service: Service, store: Store) -> None:
    give_a_newer_schema(store, 2)
    detail = admin(service, "digits/versions/2/activate").json()["detail"]
    assert "schema_version is 7, newer than 6" in detail


def test_of_a_newer_release_the_version_before_is_served_at_start(store: Store) -> None:
    """An image can be rolled back while a version that its successor published is current."""
    store.activate(2)
    give_a_newer_schema(store, 2)
    with Service.started(store.folder.parent, watch_seconds=0.05) as service:
        wait_until(lambda: status(service)["last_swap"], service)
        assert predicted(service)[0] == "1"
        swap = status(service)["last_swap"]
        assert (swap["result"], swap["version"]) == ("failed_verify", "2")
        assert "schema_version is 7, newer than 6" in swap["reason"]
        assert "serving version 1, which was current before" in service.log


def test_with_trusted_keys_only_signed_versions_serve(
    store: Store, version: Version, tmp_path: Path
) -> None:
    public = signature.generate(tmp_path / "key.pem")
    models, keys = store.folder.parent, f" {public} , {public}"
    refused = Service(models, trusted_keys=keys)
    assert refused.exit_code() == 2
    assert "1/card.json is not signed" in refused.log
    number = publish(store, version, sign=signature.signer(tmp_path / "key.pem"))
    store.activate(number)
    with Service.started(models, trusted_keys=keys, admin_token=TOKEN) as service:
        assert predicted(service) == (str(number), "7")
        response = admin(service, "digits/versions/1/activate")
        assert response.status_code == 409
        assert "is not signed" in response.json()["detail"]
        assert predicted(service)[0] == str(number)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("not-a-key", "key 1 of DIGITSERVE_TRUSTED_KEYS (9 characters) is not a key"),
        ("", "DIGITSERVE_TRUSTED_KEYS is set and holds no key"),
        (" , ", "DIGITSERVE_TRUSTED_KEYS is set and holds no key"),
    ],
)
def test_invalid_trusted_keys_are_rejected_at_start(store: Store, keys: str, message: str) -> None:
    refused = Service(store.folder.parent, trusted_keys=keys)
    assert refused.exit_code() == 2
    assert message in refused.log


def test_the_service_does_not_start_if_the_current_version_predicts_wrongly(
    store: Store, version: Version
) -> None:
    store.activate(publish(store, version, shift_golden))
    refused = Service(store.folder.parent)
    assert refused.exit_code() == 2
    assert "a logit is off by 0.01, 0.001 is allowed" in refused.log


# ---- under load, and low memory ---------------------------------------------------------------


@pytest.mark.slow
def test_switching_under_load_fails_no_request_and_mixes_no_versions(
    version: Version, judged: Judged, tmp_path: Path
) -> None:
    """A short `python -m tools.swap`; run that for a minute to measure latency."""
    store, pixels = swap.versions_of(version, tmp_path), judged.pixels
    with Service.started(store.folder.parent, admin_token=swap.TOKEN) as service:
        answers, switches = asyncio.run(
            swap.load(service, pixels, swap.expected_of(store, pixels), 8, 0.25, connections=16)
        )
    assert len(switches) >= 3
    assert len({answer.version for answer in answers}) == 3
    found = swap.judge(answers, switches)
    assert (found.failed, found.wrong, found.stale) == ({}, 0, 0)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="free memory is read in /proc")
def test_when_memory_is_low_the_previous_version_is_unloaded(store: Store) -> None:
    models = store.folder.parent
    all_of_it = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    settings = {"admin_token": TOKEN, "watch_seconds": 0.05, "memory_reserve": all_of_it}
    with Service.started(models, **settings) as service:
        admin(service, "digits/versions/2/activate")
        wait_until(lambda: status(service)["previous"] is None, service)
        wait_to_read("version 1 is unloaded: ", service)
        assert admin(service, "digits/rollback").status_code == 200  # it is loaded again
        assert predicted(service) == ("1", "7")


@pytest.mark.anyio
async def test_when_memory_is_low_it_is_unloaded_before_another_is_loaded(
    store: Store, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = publish(store, version)
    settings = Settings(threads=1, memory_reserve=2**50)  # type: ignore[call-arg]
    serving = ModelManager(store, load(store, None, settings), settings, Metrics())
    first = weakref.ref(serving.model)
    await serving.activate(2)
    alive = []

    def loading(*wanted: Any) -> Model:
        gc.collect()
        alive.append(first())
        return load(*wanted)

    monkeypatch.setattr("service.models.manager.load", loading)
    await serving.activate(third)
    assert alive == [None]
    assert serving.previous is not None
    assert serving.previous.number == 2


def wait_for_switch(store: Store, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while store.current() != number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.anyio
async def test_a_switch_that_exceeds_its_deadline_does_not_block_the_next_one(
    store: Store,
) -> None:
    settings = Settings(threads=1, load_timeout=1)  # type: ignore[call-arg]
    serving = ModelManager(store, load(store, None, settings), settings, Metrics())
    serving.previous = load(store, 2, settings)
    with (
        locked(store.folder / LOCK),  # as by a suspended program
        pytest.raises(Problem, match=r"within 3 s, 3 times DIGITSERVE_LOAD_TIMEOUT; it may"),
    ):
        await serving.activate(2)
    assert serving.model.number == 1
    assert serving.last_swap is not None
    assert serving.last_swap.result == "failed_record"
    await asyncio.to_thread(wait_for_switch, store, 2)  # the abandoned thread continues
    await serving.reload()
    assert serving.model.number == 2
    serving.close()


def test_free_memory_is_the_cgroup_limit_minus_usage_without_cache(
    tmp_path: Path,
) -> None:
    groups, meminfo = Groups(tmp_path), tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    assert free_memory(groups.proc, meminfo) == 4000 * 1024
    files = {"memory_current": "700000", "memory_stat": "anon 5\ninactive_file 50000"}
    groups.version_2("/pods", memory_max="1000000", **files)
    groups.version_2("/pods/a", memory_max="max", **files)
    groups.process_is_in("/pods/a")
    assert free_memory(groups.proc, meminfo) == 350_000
    groups.version_2("/pods", memory_max="max", **files)
    groups.process_is_in("/pods/a")
    assert free_memory(groups.proc, meminfo) == 4000 * 1024
    assert free_memory(tmp_path / "none", tmp_path / "none") is None

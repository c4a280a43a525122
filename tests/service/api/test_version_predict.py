"""Predictions of any version for comparison, whichever version serves."""

import asyncio
import json
import re
import shutil
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from contract.store import Store
from contract.version import Version
from service.api.v1.comparison import SecondaryModel
from service.batching.interface import QueueFull
from service.errors import Problem
from service.http.auth import Access
from service.http.exchange import Exchange
from service.models.loading import Model, load
from service.models.manager import ModelManager
from service.problem_types.operation import WRONG_ADMIN_TOKEN
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics
from tests.support.forms import MULTIPART, part
from tests.support.metrics import counted, metric, settle
from tests.support.pictures import SEVEN, encoded, seven
from tests.support.problems import problem
from tests.support.program import PATIENCE
from tests.support.running import ADMIN, TOKEN, Service, wait_to_read
from tests.support.versions import publish, two_versions

THIRD = tuple("klmnopqrst")  # labels of version 3; those of 1 are 0 to 9, those of 2 are a to j
OF_THE_MODEL = (
    "batch_size_count", "inference_seconds_count", "queue_wait_seconds_count", "predictions_total",
    "prediction_confidence_count", "decode_seconds_count",
)  # fmt: skip


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    store = two_versions(published, tmp_path / "models")
    publish(store, published[1], labels=THIRD)
    return store


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        yield service


def send(
    service: Service,
    version: object,
    body: bytes = SEVEN,
    query: str = "",
    *,
    name: str = "digits",
    headers: Mapping[str, str] = {},
) -> httpx2.Response:
    path = f"/v1/models/{name}/versions/{version}/predict{query}"
    with service.client(headers={"Content-Type": "image/png", **(headers or {})}) as client:
        return client.post(path, content=body)


def activate(service: Service, version: int) -> None:
    with service.client(headers=ADMIN) as client:
        path = f"/v1/models/digits/versions/{version}/activate"
        assert client.post(path).status_code == 200


def result(answer: httpx2.Response) -> tuple[str, str]:
    """The version that answered, and its label."""
    assert answer.status_code == 200, answer.text
    reported = answer.json()
    return reported["model"]["version"], reported["predictions"][0]["label"]


def loaded(service: Service) -> dict[str, str | None]:
    with service.client() as client:
        versions = client.get("/v1/models/digits").json()["versions"]
    return {each["version"]: each["loaded"] for each in versions}


def numbers(service: Service) -> dict[str, float]:
    settle(service)
    return {name: counted(service, name) for name in OF_THE_MODEL}


# ---- which version answers -----------------------------------------------------------------------


def test_the_serving_version_answers_as_on_v1_predict(service: Service) -> None:
    before = numbers(service)
    answer = send(service, 1)
    assert result(answer) == ("1", "7")
    with service.client(headers={"Content-Type": "image/png"}) as client:
        assert client.post("/v1/predict", content=SEVEN).json() == answer.json()
    assert numbers(service) == {name: before[name] + 2 for name in before}


def test_the_previous_version_answers_without_affecting_the_model_metrics(service: Service) -> None:
    activate(service, 2)
    before = numbers(service)
    assert result(send(service, 1)) == ("1", "7")
    assert result(send(service, 1, query="?top_k=2")) == ("1", "7")
    assert numbers(service) == before
    route = 'route="/v1/models/{name}/versions/{version}/predict"'
    assert metric(service, f'http_requests_total{{code="200",method="POST",{route}}}') == 2


def test_any_version_answers_with_the_admin_token_and_stays_loaded(service: Service) -> None:
    before = numbers(service)
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    assert loaded(service) == {"1": "serves", "2": None, "3": "compared"}
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    wait_to_read("version 3 is loaded for comparison", service)
    assert service.log.count("version 3 is loaded for comparison") == 1
    assert numbers(service) == before
    with service.client() as client:
        assert client.get("/v1/models/digits/versions/3").json()["loaded"] == "compared"
        assert client.get("/v1/status").json()["model"]["version"] == "1"


def test_only_the_last_compared_version_stays_loaded(service: Service) -> None:
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    assert result(send(service, 2, headers=ADMIN)) == ("2", "h")
    assert loaded(service) == {"1": "serves", "2": "compared", "3": None}
    wait_to_read("version 3 is unloaded after comparison: version 2 is requested", service)
    assert problem(send(service, 9, headers=ADMIN), 404)
    assert loaded(service)["2"] == "compared"


def test_a_response_has_its_timings_and_version(service: Service) -> None:
    activate(service, 2)
    for version, count in ((2, "1"), (1, "1"), (3, "1")):
        headers = send(service, version, headers=ADMIN | {"X-Request-ID": "mine"}).headers
        assert re.fullmatch(
            r"decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+", headers["Server-Timing"]
        )
        assert headers["X-Batch-Size"] == count
        assert headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize("query", ["", "?debug=ink", "?top_k=3&threshold=1", "?ink=off&debug=ink"])
@pytest.mark.parametrize("form", ["picture", "json", "multipart"])
def test_every_form_and_option_works_as_with_the_serving_version(
    comparable: Service, form: str, query: str
) -> None:
    """All three have the same weights and differ only in their labels."""
    files = [SEVEN, encoded(seven(side=28))]
    if form == "picture":
        body, kind = SEVEN, "image/png"
    elif form == "json":
        texts = [b64encode(file).decode() for file in files]
        body, kind = json.dumps({"images": texts}).encode(), "application/json"
    else:
        body, kind = b"".join(map(part, files)) + b"--x--\r\n", MULTIPART["Content-Type"]
    headers = ADMIN | {"Content-Type": kind}
    served, warm, other = (
        send(comparable, version, body, query, headers=headers).json() for version in (2, 1, 3)
    )
    assert [each["model"]["version"] for each in (served, warm, other)] == ["2", "1", "3"]
    predictions = served["predictions"]
    assert len(predictions) == (1 if form == "picture" else 2)
    assert ("ink" in predictions[0]) == ("debug" in query)
    for answer in (warm, other):
        for found, expected in zip(answer["predictions"], predictions, strict=True):
            assert found["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
            assert beside_numbers(found) == beside_numbers(expected)


def beside_numbers(prediction: dict[str, Any]) -> dict[str, Any]:
    """The fields that depend neither on labels nor on the last digits of numbers."""
    kept = {name: prediction.get(name) for name in ("index", "ink", "uncertain")}
    return kept | {"top": [each["index"] for each in prediction.get("top_k", [])]}


# ---- access --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparable(
    published: tuple[Store, Version], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Version 2 serves and 1 is the previous one; for tests that change nothing else."""
    store = two_versions(published, tmp_path_factory.mktemp("comparable"))
    publish(store, published[1], labels=THIRD)
    with Service.started(store.folder.parent, admin_token=TOKEN, watch_seconds=0) as service:
        activate(service, 2)
        yield service


@pytest.mark.parametrize("authorization", ["", "Bearer another-token-of-some-length"])
def test_without_the_token_no_version_is_loaded(comparable: Service, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    for version in (3, 9):  # the response does not reveal whether it exists
        answer = send(comparable, version, headers=headers)
        assert "admin token" in problem(answer, 401)["detail"]
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_if_no_token_is_set_no_version_is_loaded(store: Store) -> None:
    with Service.started(store.folder.parent, watch_seconds=0) as service:
        assert "DIGITSERVE_ADMIN_TOKEN" in problem(send(service, 3), 403)["detail"]
        assert result(send(service, 1)) == ("1", "7")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_invalid_image_is_rejected_as_usual(comparable: Service, version: int) -> None:
    assert problem(send(comparable, version, b"nonsense", headers=ADMIN), 422)
    assert problem(send(comparable, version, b"", headers=ADMIN), 400)
    assert problem(send(comparable, version, query="?colour=red", headers=ADMIN), 400)
    headers = ADMIN | {"Content-Type": "text/plain"}
    assert problem(send(comparable, version, headers=headers), 415)


@pytest.mark.parametrize(
    ("name", "version", "title"),
    [
        ("letters", 1, "No such model"),
        ("digits", 9, "No such version"),
        ("digits", "current", "No such version"),
        ("digits", "01", "No such version"),
    ],
)
def test_an_unknown_model_or_version_is_404(
    comparable: Service, name: str, version: object, title: str
) -> None:
    assert problem(send(comparable, version, name=name, headers=ADMIN), 404)["title"] == title


def test_other_methods_are_405(comparable: Service) -> None:
    with comparable.client() as client:
        assert problem(client.get("/v1/models/digits/versions/1/predict"), 405)


def test_a_version_that_fails_a_gate_is_409_and_not_a_failed_switch(
    service: Service, store: Store
) -> None:
    (store.folder / "3/model.onnx").write_bytes(b"other")
    refusal = problem(send(service, 3, headers=ADMIN), 409)
    assert refusal["type"] == "/problems/version-failed-check"
    assert "the check 'verify' failed: " in refusal["detail"]
    assert "3/model.onnx is not the file" in refusal["detail"]
    assert str(store.folder.parent) not in refusal["detail"]
    assert counted(service, 'model_swap_total{result="failed_verify"}') == 0
    assert result(send(service, 1)) == ("1", "7")
    assert loaded(service) == {"1": "serves", "2": None, "3": None}


# ---- changes of the store or of the serving version ----------------------------------------------


def test_a_pruned_version_no_longer_answers(service: Service, store: Store) -> None:
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    shutil.rmtree(store.folder / "3")
    assert problem(send(service, 3, headers=ADMIN), 404)["title"] == "No such version"
    wait_to_read("version 3 is unloaded after comparison: its files have changed", service)


def test_a_number_reused_by_another_version_answers_as_that_version(
    service: Service, store: Store, version: Version
) -> None:
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    shutil.rmtree(store.folder / "3")
    assert publish(store, version, labels=tuple("ABCDEFGHIJ")) == 3
    assert result(send(service, 3, headers=ADMIN)) == ("3", "H")


def test_a_compared_version_that_is_activated_is_not_loaded_twice(service: Service) -> None:
    assert result(send(service, 3, headers=ADMIN)) == ("3", "r")
    activate(service, 3)
    wait_to_read("unloaded after comparison: it is loaded for serving", service)
    assert loaded(service) == {"1": "warm", "2": None, "3": "serves"}
    assert result(send(service, 3)) == ("3", "r")
    assert result(send(service, 1)) == ("1", "7")


def test_no_answer_comes_from_another_version_during_switches(service: Service) -> None:
    over, labels = Event(), {1: "7", 2: "h"}
    activate(service, 2)

    def predict_repeatedly(version: int) -> set[int]:
        codes = set()
        with service.client(headers={"Content-Type": "image/png"}) as client:
            while not over.is_set():
                path = f"/v1/models/digits/versions/{version}/predict"
                answer = client.post(path, content=SEVEN)
                codes.add(answer.status_code)
                if answer.status_code == 200:
                    assert result(answer) == (str(version), labels[version])
        return codes

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(predict_repeatedly, version) for version in (1, 2, 1, 2)]
        try:
            for turn in range(6):
                activate(service, 1 + turn % 2)
        finally:
            over.set()
        assert all({200} <= each.result() <= {200, 409} for each in futures)


def test_with_little_memory_no_other_version_is_loaded(store: Store) -> None:
    settings = {"admin_token": TOKEN, "watch_seconds": 0, "memory_reserve": 2**50}
    with Service.started(store.folder.parent, **settings) as service:
        answer = send(service, 3, headers=ADMIN)
        assert "DIGITSERVE_MEMORY_RESERVE" in problem(answer, 503)["detail"]
        assert result(send(service, 1)) == ("1", "7")


class FakeExchange(Exchange):
    """A request without a connection."""

    __slots__ = ("reported",)
    latest = 0.0  # the deadline is not the client's

    def __init__(self, token: str = TOKEN) -> None:
        headers = {b"authorization": f"Bearer {token}".encode()}
        now = perf_counter()
        super().__init__(Metrics(), headers, b"", SEVEN, now, now + PATIENCE)
        self.reported: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def _send(self, status: int, head: bytes, content: bytes) -> None:
        self.reported.set_result(content)

    def _refuse(self, error: Exception) -> None:
        self.reported.set_exception(error)


def wait_until_gone(secondary: SecondaryModel) -> None:
    deadline = time.monotonic() + PATIENCE
    while secondary.number is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestUnloading:
    """Unloading of a compared version, tested without HTTP."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def make(
        self, store: Store
    ) -> AsyncIterator[Callable[..., tuple[ModelManager, SecondaryModel]]]:
        made: list[ModelManager | SecondaryModel] = []

        def make(unused: float = PATIENCE) -> tuple[ModelManager, SecondaryModel]:
            """Of these two, only the first is short of memory."""
            short = Settings(threads=1, memory_reserve=2**50)  # type: ignore[call-arg]
            ample = Settings(threads=1, memory_reserve=0, admin_token=SecretStr(TOKEN))  # type: ignore[call-arg]
            metrics = Metrics()
            serving = ModelManager(store, load(store, None, short), short, metrics)
            secondary = SecondaryModel(serving, ample, Access(ample), unused)
            made.extend((serving, secondary))
            return serving, secondary

        yield make
        for each in made:
            each.close()

    async def number(self, secondary: SecondaryModel, version: int) -> int:
        """The number of the model that answers a request for that version."""
        exchange = FakeExchange()

        def work(model: Model) -> int:
            return model.number

        secondary.do(
            exchange, version, work, lambda number: exchange.reply(200, b"", b"%d" % number)
        )
        return int(await exchange.reported)

    async def test_low_memory_unloads_it_before_another_version_is_loaded_to_serve(
        self, make: Callable[..., tuple[ModelManager, SecondaryModel]]
    ) -> None:
        serving, secondary = make()
        assert await self.number(secondary, 3) == 3
        assert secondary.number == 3
        await serving.activate(2)
        assert secondary.number is None

    async def test_the_images_that_wait_for_it_are_bounded_in_bytes(
        self, make: Callable[..., tuple[ModelManager, SecondaryModel]]
    ) -> None:
        _, secondary = make()
        most = Settings().max_queue_bytes // 8  # type: ignore[call-arg]
        over = Event()
        waiting = [FakeExchange() for _ in range(2)]
        for exchange in waiting:
            secondary.do(
                exchange,
                1,
                lambda _: over.wait(PATIENCE),
                lambda _, to=exchange: to.reply(200, b"", b""),  # type: ignore[misc]
                holds=most // 2,
            )
        with pytest.raises(QueueFull):
            secondary.do(FakeExchange(), 1, lambda model: model, print, holds=most // 2)
        over.set()
        for exchange in waiting:
            await exchange.reported

    async def test_an_unused_version_is_unloaded_after_a_while(
        self, make: Callable[..., tuple[ModelManager, SecondaryModel]]
    ) -> None:
        _, secondary = make(0.05)
        assert await self.number(secondary, 3) == 3
        await asyncio.to_thread(wait_until_gone, secondary)
        assert await self.number(secondary, 3) == 3  # it is loaded again

    async def test_a_request_without_a_token_loads_nothing_even_if_detected_late(
        self, make: Callable[..., tuple[ModelManager, SecondaryModel]]
    ) -> None:
        serving, secondary = make()
        await serving.activate(2)
        secondary.admit(1, {})  # warm
        await serving.evict(1)
        with pytest.raises(Problem) as refused:
            secondary.do(FakeExchange("no token of ours"), 1, lambda model: model.number, print)
        assert refused.value.kind is WRONG_ADMIN_TOKEN

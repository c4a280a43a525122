"""The service refuses to start with invalid input, and loses no request when it stops."""

import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx2
import pytest

from contract.store import Store
from contract.version import Version
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import PLAIN, ROOT, Service, wait_to_read, wait_until

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def models(published: tuple[Store, Version], tmp_path: Path) -> Path:
    """A separate store, for tests that damage it."""
    shutil.copytree(published[0].folder, tmp_path / "models/digits")
    return tmp_path / "models"


def refused(models: Path, **settings: object) -> str:
    """The output of a service that fails to start."""
    service = Service(models, **settings)
    assert service.exit_code() == 2
    assert service.url == ""
    assert "Traceback" not in service.log
    return service.log


def test_a_truncated_model_is_rejected_with_its_name_and_both_hashes(
    models: Path, version: Version
) -> None:
    model = models / "digits/1/model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    output = refused(models)
    assert str(model) in output
    assert version.card.files["model.onnx"].sha256 in output
    assert f"{len(content) - 1} bytes" in output


def test_a_graph_that_onnx_runtime_cannot_load_is_rejected(models: Path, version: Version) -> None:
    """Even if the card has the hash of that graph."""
    store = Store(models, "digits")
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(b"no graph")
        store.activate(store.publish(draft, version.card).number)
    assert "model.onnx is not loaded: it is not an ONNX graph" in refused(models)


def test_the_error_names_an_invalid_setting(models: Path) -> None:
    assert "DIGITSERVE_MAX_BATCH=0: Input should be greater" in refused(models, max_batch=0)


def test_the_error_about_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    assert "make export" in refused(tmp_path)


def test_the_error_about_a_missing_model_names_the_settings(models: Path) -> None:
    output = refused(models, model="letters")
    assert f"{models}/letters does not exist: other models in that store: digits" in output
    assert f"(DIGITSERVE_MODELS={models}, DIGITSERVE_MODEL=letters)" in output


def test_flags_override_variables_and_reach_the_workers(models: Path) -> None:
    """As in the documented example, python -m service --port 9000 --workers 2."""

    class WithFlags(Service):
        command = (*PLAIN, "--workers", "2", "--max-batch", "7", "--port", "0")

    with WithFlags.started(models, workers=1, max_batch=3, port=1, drain_seconds=0) as service:
        status = fetch.get(f"{service.url}/v1/status").json()
        assert (len(status["workers"]), status["batching"]["max_batch"]) == (2, 7)
        service.send(signal.SIGTERM)
        service.exit_code()


def test_the_error_about_a_misspelt_flag_suggests_the_right_one() -> None:
    done = subprocess.run([*PLAIN, "--max-bach", "9"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unrecognized arguments: --max-bach 9, did you mean --max-batch?" in done.stderr


def test_the_error_about_a_port_in_use_names_the_settings(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        output = refused(models, port=taken.getsockname()[1])
    assert "DIGITSERVE_PORT" in output


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_the_error_about_a_foreign_address_names_the_settings(models: Path, host: str) -> None:
    assert f"cannot listen on {host}" in refused(models, host=host)


def test_a_misspelt_setting_is_a_warning(models: Path) -> None:
    with Service.started(models, max_batches=3) as service:
        assert "DIGITSERVE_MAX_BATCHES is no setting" in service.log


def test_the_example_command_printed_at_start_works(models: Path) -> None:
    models = models.rename(models.with_name("my models"))
    with Service.started(models) as service:
        wait_to_read("curl ", service)
        (command,) = (line for line in service.log.splitlines() if "curl " in line)
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert '"predictions":[{"digit":' in done.stdout


def test_sigterm_loses_no_accepted_request(models: Path) -> None:
    """Clients post continuously until the port is closed; until then all requests must succeed."""
    outcomes: list[int | str] = []
    with Service.started(models, drain_seconds=0.5) as service:

        def client() -> None:
            try:
                while True:  # separate connections: an idle one may be closed between two requests
                    response = fetch.post(
                        f"{service.url}/v1/predict", content=SEVEN, headers=PNG, timeout=PATIENCE
                    )
                    outcomes.append(response.status_code)
            except httpx2.ConnectError:
                pass  # connection refused: never accepted
            except httpx2.HTTPError as error:
                outcomes.append(repr(error))

        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        wait_until(lambda: len(outcomes) > 50, service)
        service.send(signal.SIGTERM)
        for thread in clients:
            thread.join(PATIENCE)
        assert service.exit_code() == 0
    assert set(outcomes) == {200}


def test_the_port_stays_open_for_drain_seconds_after_sigterm(models: Path) -> None:
    with Service.started(models, drain_seconds=2) as service:
        service.send(signal.SIGTERM)
        reported = time.monotonic()
        wait_to_read("not ready any more", service)
        while (
            passed := time.monotonic() - reported
        ) < 1:  # half of the time: new connections are still accepted
            assert fetch.get(f"{service.url}/livez").status_code == 200
            time.sleep(0.05)
        assert service.exit_code() == 0
        assert time.monotonic() - reported >= 2 > passed


def test_sigterm_answers_a_request_whose_body_is_still_in_transfer(models: Path) -> None:
    with Service.started(models, drain_seconds=0) as service:
        url = httpx2.URL(service.url)
        with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE) as connection:
            head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
            connection.sendall(head.encode() + SEVEN[:100])
            with service.client() as client:  # so the request above has arrived as well
                assert client.get("/livez").status_code == 200
            service.send(signal.SIGTERM)
            wait_to_read("not ready any more", service)
            connection.sendall(SEVEN[100:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert service.exit_code() == 0


def test_a_draining_service_is_not_ready_but_answers(models: Path) -> None:
    with Service.started(models, drain_seconds=30) as service, service.client() as client:
        service.send(signal.SIGTERM)
        wait_until(lambda: client.get("/readyz").status_code == 503, service)
        unready = client.get("/readyz")
        assert "stopping" in unready.json()["detail"]
        assert unready.headers["Retry-After"] == "1"
        assert client.get("/v1/status").json()["draining"] is True
        response = client.post("/v1/predict", content=SEVEN, headers=PNG)
        assert response.status_code == 200
        assert response.headers["Connection"] == "close"
        service.send(signal.SIGTERM)  # a second signal stops it at once
        assert service.exit_code() == 0


def test_an_idle_connection_does_not_delay_the_stop(models: Path) -> None:
    with Service.started(models, drain_seconds=0) as service, service.client() as client:
        assert client.get("/livez").status_code == 200  # and the connection stays open
        began = time.monotonic()
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        assert time.monotonic() - began < 15


def test_ctrl_c_stops_without_waiting_and_without_a_traceback(models: Path) -> None:
    with Service.started(models, drain_seconds=30) as service:
        service.send(signal.SIGINT)
        assert service.exit_code() == 0
        assert "Traceback" not in service.log


def test_an_access_log_is_written_on_request(models: Path) -> None:
    with Service.started(models, access_log="all") as service, service.client() as client:
        client.get("/livez")
        wait_to_read('"event":"GET /livez 200"', service)

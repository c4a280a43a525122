"""From start to stop: refuses to start on what is not right, loses nothing when it ends."""

import shutil
import signal
import socket
import subprocess
import sys
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
from tests.support.running import ROOT, Service, clean_environment, wait_to_read, wait_until

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def models(published: tuple[Store, Version], tmp_path: Path) -> Path:
    """A store of one's own, to be broken."""
    shutil.copytree(published[0].folder, tmp_path / "models/digits")
    return tmp_path / "models"


def refused(models: Path, **settings: object) -> str:
    """What a service says that refuses to start."""
    service = Service(models, **settings)
    assert service.exit_code() == 2
    assert service.url == ""
    assert "Traceback" not in service.log
    return service.log


def test_a_model_a_byte_short_is_refused_with_its_name_and_both_hashes(
    models: Path, version: Version
) -> None:
    model = models / "digits/1/model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1])
    said = refused(models)
    assert str(model) in said
    assert version.card.files["model.onnx"].sha256 in said
    assert f"{len(content) - 1} bytes" in said


def test_a_graph_that_onnx_runtime_cannot_load_is_refused(models: Path, version: Version) -> None:
    """Even where the card, and so the hash, was made for it."""
    store = Store(models, "digits")
    with store.draft() as draft:
        (draft / "model.onnx").write_bytes(b"no graph")
        store.activate(store.publish(draft, version.card).number)
    assert "model.onnx is not loaded: it is not an ONNX graph" in refused(models)


def test_a_bad_setting_is_refused_by_name(models: Path) -> None:
    assert "DIGITSERVE_MAX_BATCH=0: Input should be greater" in refused(models, max_batch=0)


def test_an_empty_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    assert "make export" in refused(tmp_path)


def test_a_port_in_use_is_refused_with_the_settings_to_change(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(models, port=taken.getsockname()[1])
    assert "DIGITSERVE_PORT" in said


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_an_address_that_is_not_ours_is_refused_with_the_settings_to_change(
    models: Path, host: str
) -> None:
    assert f"cannot listen on {host}" in refused(models, host=host)


def test_a_misspelt_setting_is_warned_of(models: Path) -> None:
    with Service.started(models, max_batches=3) as service:
        assert "DIGITSERVE_MAX_BATCHES is no setting" in service.log


def test_the_start_prints_a_command_that_works_when_pasted(models: Path) -> None:
    models = models.rename(models.with_name("my models"))
    with Service.started(models) as service:
        wait_to_read("curl ", service)
        (command,) = (line for line in service.log.splitlines() if "curl " in line)
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert '"predictions":[{"digit":' in done.stdout


def test_sigterm_in_the_middle_of_requests_loses_none_of_those_accepted(models: Path) -> None:
    """Clients post without pause until the port is closed; until then all must succeed."""
    outcomes: list[int | str] = []
    with Service.started(models, drain_seconds=0.5) as service:

        def client() -> None:
            try:
                while True:  # a connection each: an idle one may be closed between two requests
                    response = fetch.post(
                        f"{service.url}/v1/predict", content=SEVEN, headers=PNG, timeout=PATIENCE
                    )
                    outcomes.append(response.status_code)
            except httpx2.ConnectError:
                pass  # refused: never accepted
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
        ) < 1:  # half of it: new connections are welcome
            assert fetch.get(f"{service.url}/livez").status_code == 200
            time.sleep(0.05)
        assert service.exit_code() == 0
        assert time.monotonic() - reported >= 2 > passed


def test_sigterm_answers_a_request_whose_body_is_still_on_its_way(models: Path) -> None:
    with Service.started(models, drain_seconds=0) as service:
        url = httpx2.URL(service.url)
        with socket.create_connection((url.host, url.port or 80), timeout=PATIENCE) as connection:
            head = f"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
            connection.sendall(head.encode() + SEVEN[:100])
            with service.client() as client:  # so the request above has arrived, too
                assert client.get("/livez").status_code == 200
            service.send(signal.SIGTERM)
            wait_to_read("not ready any more", service)
            connection.sendall(SEVEN[100:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert service.exit_code() == 0


def test_while_it_drains_it_is_not_ready_but_answers(models: Path) -> None:
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
        service.send(signal.SIGTERM)  # a second signal ends it now
        assert service.exit_code() == 0


def test_an_idle_connection_does_not_hold_the_stop(models: Path) -> None:
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


def test_an_access_log_is_written_when_asked_for(models: Path) -> None:
    with Service.started(models, access_log="all") as service, service.client() as client:
        client.get("/livez")
        wait_to_read('"event":"GET /livez 200"', service)


def test_help_lists_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "--help"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "DIGITSERVE_MAX_BATCH" in done.stdout
    assert "DIGITSERVE_DRAIN_SECONDS" in done.stdout

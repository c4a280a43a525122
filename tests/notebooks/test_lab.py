"""`make notebook` starts JupyterLab, which lists the notebooks and has their kernel."""

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx2

from tests.interop.proxy import free_port
from tests.support import fetch
from tests.support.running import ROOT, clean_environment
from tests.support.waiting import until


def test_make_notebook_opens_the_notebooks(tmp_path: Path) -> None:
    port = free_port()
    settings = {"port": port, "port_retries": 0, "open_browser": False, "allow_root": True}
    config = {"ServerApp": settings, "IdentityProvider": {"token": ""}}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(config))
    folders = {
        name: str(tmp_path) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
    }
    make = subprocess.Popen(
        ["make", "notebook"],
        cwd=ROOT, env=clean_environment() | folders, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert make.poll() is None
        try:
            return fetch.get(f"{url}/api").status_code == 200
        except httpx2.ConnectError:
            return False

    try:
        until(ready, patience=300)
        listed = {each["name"] for each in fetch.get(f"{url}/api/contents").json()["content"]}
        kernels = fetch.get(f"{url}/api/kernelspecs").json()["kernelspecs"]
    finally:
        os.killpg(make.pid, signal.SIGKILL)
        make.wait()
    assert {"tour.ipynb", "own_images.ipynb"} <= listed
    assert "python3" in kernels

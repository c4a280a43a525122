"""A docker compose project with a unique name, on free ports, whose model is trained in seconds."""

import os
import secrets
import time
from typing import Any

import httpx2

from tests.docker import engine
from tests.docker.engine import PATIENCE
from tests.support import fetch
from tests.support.running import TOKEN

PROFILES = ("--profile=dashboards", "--profile=loadtest", "--profile=retraining", "--profile=sbom")
SETTINGS = {
    "MNIST_DIR": "",  # not that of the machine
    "TRAIN_ARGS": "--data digits --epochs 2",
    "PORT": "0",  # any free port
    "DIGITSERVE_ADMIN_TOKEN": TOKEN,
    "DIGITSERVE_DRAIN_SECONDS": "1",
    "LOAD_USERS": "3",
    "LOAD_TIME": "5s",
    "LOAD_WORKERS": "2",
}


class Stack:
    def __init__(
        self, files: tuple[str, ...] = (), services: tuple[str, ...] = (), **settings: str
    ) -> None:
        """`files`: those of compose, if not the default one; `services`: what `up` starts, if not
        all that need no profile."""
        self._files, self._services = files, services
        self._settings = {**SETTINGS, **settings}
        self.first_log = ""  # seconds until all were healthy for the first time
        self.project = f"digitserve-test-{secrets.token_hex(4)}"

    def compose(self, *words: str, files: tuple[str, ...] = (), errors: bool = False) -> str:
        """The output of compose. A local .env file is not read."""
        named = [f"--file={file}" for file in files or self._files]
        command = ["docker", "compose", "--project-name", self.project, "--env-file=/dev/null"]
        env = {**os.environ, **self._settings}
        return engine.run(*command, *named, *words, env=env, errors=errors)

    def up(self) -> float:
        """Seconds until the service is healthy, including the training if there is no model."""
        began = time.monotonic()
        self.compose("up", "--detach", *self._services)
        self.healthy(self.service["Id"])
        took = time.monotonic() - began
        self.first_log = self.first_log or self.logs
        return took

    @staticmethod
    def healthy(container: str) -> None:
        """Wait until a container is healthy."""

        def state() -> Any:
            return engine.inspect(container)["State"]

        engine.wait_until(lambda: state()["Health"]["Status"] == "healthy", state)

    def down(self) -> None:
        self.compose(*PROFILES, "down", "--volumes", "--timeout=1")

    def container(self, service: str) -> Any:
        """The first one, if the service has several."""
        return engine.inspect(self.compose("ps", "--all", "--quiet", service).split()[0])

    @property
    def service(self) -> Any:
        return self.container("service")

    @property
    def logs(self) -> str:
        return self.compose("logs", "--no-color", *self._services)

    @property
    def url(self) -> str:
        """The address published on this machine."""
        return f"http://{self.compose('port', 'service', '8000').strip()}"

    @property
    def inner_url(self) -> str:
        """Bypasses the engine's proxy, which accepts connections even without a server."""
        networks = self.service["NetworkSettings"]["Networks"]
        return f"http://{networks[f'{self.project}_outside']['IPAddress']}:8000"

    def status(self) -> Any:
        return fetch.get(f"{self.url}/v1/status", timeout=PATIENCE).json()

    def served(self) -> str:
        """The version that answers, or an empty string if there is no answer."""
        try:
            version: str = self.status()["model"]["version"]
        except httpx2.HTTPError:
            return ""
        return version

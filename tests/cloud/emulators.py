"""Object stores on this machine: SeaweedFS and moto with the API of S3, Azurite with that of Azure.

`make test-cloud` installs them into .cloud/. Each starts on ports of its own, with an empty bucket.
"""

import base64
import hashlib
import hmac
import json
import socket
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path

import httpx2
import obstore
import pytest
from obstore.store import S3Store

from tests.support.program import PATIENCE, Program
from tests.support.running import ROOT

BUCKET = "models"
PROGRAMS = ROOT / ".cloud"
# Azurite's only account, which its documentation publishes.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class Emulator(Program):
    store: str  # URL of a model store in it
    secret = "secret-of-writer"  # of `environment`

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        program, *words = self.words()
        if not (PROGRAMS / program).exists():
            pytest.skip(f".cloud/{program} is missing: make test-cloud installs it")
        super().__init__([str(PROGRAMS / program), *words], folder=folder)

    @abstractmethod
    def words(self) -> list[str]:
        """The program in PROGRAMS, and its arguments."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """The variables with which a program may read and write."""

    @abstractmethod
    def create_bucket(self) -> int:
        """The HTTP status."""

    def hear(self, line: str) -> bool:
        return False

    def wait_until_ready(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                assert self.create_bucket() in (200, 201), self.log
                return
            except (httpx2.TransportError, AssertionError):
                assert time.monotonic() < end, self.log
                assert self.process.poll() is None, self.log
                time.sleep(0.1)


class Seaweed(Emulator):
    """It checks permissions: `reader` may read objects, but neither list nor write any."""

    store = f"s3://{BUCKET}/prefix"

    def words(self) -> list[str]:
        identities = [
            _identity("writer", "Admin", "Read", "Write", "List"),
            _identity("reader", f"Read:{BUCKET}"),
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (self.folder / "volumes").mkdir(exist_ok=True)
        names = ["master.port", "volume.port", "filer.port"]
        names += [f"{name}.port.grpc" for name in ("master", "volume", "filer", "s3")]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        options = {"dir": "volumes", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", **ports}
        options |= {"s3.port": self.port, "s3.config": "s3.json", "s3.iam": "false"}
        # Several of it may run, and it reports to nobody.
        options |= {"s3.port.iceberg": 0, "s3.port.lance": 0, "master.telemetry": "false"}
        words = (f"-{name}={value}" for name, value in options.items())
        return ["bin/weed", "-logtostderr=true", "server", "-s3", "-filer", *words]

    @property
    def environment(self) -> Mapping[str, str]:
        return self.environment_of("writer")

    def environment_of(self, user: str) -> Mapping[str, str]:
        return _s3(self.endpoint, user, f"secret-of-{user}")

    def create_bucket(self) -> int:
        """The gateway creates it for an administrator's first object."""
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id="writer",
            secret_access_key="secret-of-writer",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        try:
            obstore.put(store, "created", b"")
        except obstore.exceptions.BaseError as error:
            raise httpx2.TransportError(str(error)) from error
        return 200


class Moto(Emulator):
    store = f"s3://{BUCKET}/prefix"

    def words(self) -> list[str]:
        return ["bin/moto_server", "--host=127.0.0.1", f"--port={self.port}"]

    @property
    def environment(self) -> Mapping[str, str]:
        return _s3(self.endpoint, "any", self.secret)

    def create_bucket(self) -> int:
        return httpx2.put(f"{self.endpoint}/{BUCKET}", timeout=1).status_code


class Azurite(Emulator):
    store = f"az://{BUCKET}/prefix"
    secret = ACCOUNT_KEY

    def words(self) -> list[str]:
        return [
            "azurite/node_modules/.bin/azurite-blob", "--silent", "--inMemoryPersistence",
            "--blobHost=127.0.0.1", f"--blobPort={self.port}",
        ]  # fmt: skip

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
            "AZURE_ENDPOINT": f"{self.endpoint}/{ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }

    def create_bucket(self) -> int:
        date, version = formatdate(usegmt=True), "2021-08-06"
        headers = {"x-ms-date": date, "x-ms-version": version}
        text = (
            f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:{version}\n"
            f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
        )
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"{self.endpoint}/{ACCOUNT}/{BUCKET}?restype=container"
        return httpx2.put(url, headers=headers, timeout=1).status_code


EMULATORS: dict[str, Callable[[Path], Emulator]] = {
    "SeaweedFS": Seaweed,
    "moto": Moto,
    "Azurite": Azurite,
}


def free_ports(count: int) -> list[int]:
    """Different ones: all are taken at the same time."""
    with ExitStack() as taken:
        found = [taken.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in found]


def _identity(name: str, *actions: str) -> dict[str, object]:
    keys = [{"accessKey": name, "secretKey": f"secret-of-{name}"}]
    return {"name": name, "credentials": keys, "actions": actions}


def _s3(endpoint: str, key: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }

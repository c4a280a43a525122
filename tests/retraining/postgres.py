"""A Postgres server of Debian's package, on a free port, for one test module."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
PASSWORD = "a-secret@of:the/test"


class Postgres:
    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        # It refuses to run as root.
        self._user: Mapping[str, str] = {"user": "postgres"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(folder, "postgres")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "--username=ann", "--auth=scram-sha-256", f"--pwfile={password}")

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        with tempfile.TemporaryDirectory() as folder:
            postgres = cls(Path(folder))
            postgres.start()
            try:
                yield postgres
            finally:
                postgres.stop()

    @property
    def url(self) -> str:
        return f"postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -c unix_socket_directories={self._folder} -c fsync=off"
        self._run("pg_ctl", "start", "--wait", f"--options={options}", f"--log={self._folder}/log")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate")

    def _run(self, program: str, *words: str) -> None:
        assert PROGRAMS is not None
        subprocess.run(
            [PROGRAMS / program, f"--pgdata={self._folder}/data", *words],
            stdout=subprocess.DEVNULL, check=True, cwd="/", **self._user,  # type: ignore[call-overload]
        )  # fmt: skip

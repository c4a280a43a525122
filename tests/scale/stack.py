"""The stack of deploy/swarm on the engines of several hosts, and two images to switch between."""

import json
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.card import SCHEMA
from tests.docker.engine import ROOT, docker, wait_until
from tests.scale.engines import Engine, Swarm
from tests.support.running import TOKEN

NAME = "digitserve"
SERVICE = f"{NAME}_service"
FILES = ("deploy/swarm/stack.yml", "deploy/swarm/folder.yml")
CARD = "contract/card.py"
# Modules are compiled for a read-only root.
COMPILE = "python -m compileall -q -f --invalidation-mode unchecked-hash /app/contract"


class Stack:
    def __init__(self, swarm: Swarm, models: Path, image: str, folder: Path) -> None:
        self.swarm, self.models = swarm, models
        secret = folder / "token"
        secret.write_text(TOKEN)
        swarm.first.docker("secret", "create", "digitserve_admin_token", str(secret))
        settings = {
            "IMAGE": image,
            "MODELS_DEVICE": str(models),
            "SERVICE_CPUS": "1",
            "SERVICE_RESERVED": "0.1",
            "BALANCER_CPUS": "1",
        }
        files = [f"--compose-file={file}" for file in FILES]
        swarm.first.docker(
            "stack", "deploy", "--resolve-image=never", *files, NAME, env={**os.environ, **settings}
        )

    def wait_until_healthy(self, replicas: int) -> None:
        wait_until(lambda: len(self.replicas) == replicas, lambda: self.state)

    @property
    def replicas(self) -> dict[str, Engine]:
        """The containers that are healthy, and the engine of each."""
        found = self.swarm.containers(SERVICE)
        return {
            name: engine
            for name, engine in found.items()
            if engine.inspect(name)["State"]["Health"]["Status"] == "healthy"
        }

    @property
    def state(self) -> str:
        form = "--format={{.Name}} {{.Image}} {{.DesiredState}} {{.CurrentState}} {{.Error}}"
        return self.swarm.leader.docker("stack", "ps", "--no-trunc", form, NAME)

    def update(self, image: str) -> None:
        """Replace each replica in turn by one of another image; returns when that is done."""
        self.swarm.leader.docker(
            "service", "update", "--quiet", "--no-resolve-image", f"--image={image}", SERVICE
        )

    def roll_back(self) -> None:
        """The same with the image before."""
        self.swarm.leader.docker("service", "rollback", "--quiet", SERVICE)

    def images(self) -> set[str]:
        """Of the healthy replicas."""
        return {
            engine.inspect(name)["Config"]["Image"].partition("@")[0]
            for name, engine in self.replicas.items()
        }

    def statuses(self) -> list[Any]:
        """/v1/status of each healthy replica."""
        program = (
            "import urllib.request as r; "
            "print(r.urlopen('http://127.0.0.1:8000/v1/status', timeout=20).read().decode())"
        )
        return [
            json.loads(engine.docker("exec", name, "python", "-c", program))
            for name, engine in self.replicas.items()
        ]


def build_next(image: str, tag: str) -> None:
    """An image of the next release, made from that of this one."""
    container = docker("create", "--user=0", "--entrypoint=sh", image, "-c", COMPILE)
    try:
        with TemporaryDirectory() as folder:
            changed = Path(folder) / "card.py"
            changed.write_text(of_next_release((ROOT / CARD).read_text()))
            changed.chmod(0o644)
            docker("cp", str(changed), f"{container}:/app/{CARD}")
        docker("start", "--attach", container)
        entry = 'ENTRYPOINT ["python", "-m", "service"]'
        changes = ["--change=USER 10001:10001", f"--change={entry}", "--change=CMD []"]
        docker("commit", *changes, container, tag)
    finally:
        docker("rm", "--force", container)


def of_next_release(source: str) -> str:
    """The module of the card, with a newer schema."""
    for pattern, replacement in (
        (rf"^SCHEMA: Final = {SCHEMA}\b", f"SCHEMA: Final = {SCHEMA + 1}"),
        (r"^(    schema_version: Literal\[[\d, ]+)\]", rf"\1, {SCHEMA + 1}]"),
        (r"^(_ADDED: .* = {)$", rf"\1\n    {SCHEMA}: {{}},"),
    ):
        source, found = re.subn(pattern, replacement, source, flags=re.MULTILINE)
        assert found == 1, pattern
    return source


def activate_with(image: str, models: Path, number: int) -> None:
    """Activate a version with a release's own program."""
    docker(
        "run", "--rm", "--user=0", f"--volume={models}:/models", "--entrypoint=python", image,
        "-m", "contract", "activate", str(number),
    )  # fmt: skip

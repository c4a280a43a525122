"""The machine: which cores serve, which generate load, and the conditions of every number."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

from loadtest.errors import CannotMeasure

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "nvidia-cuda-runtime", "nvidia-cudnn-cu13",
    "opencv-python-headless", "numpy", "uvicorn", "uvloop", "httptools",
)  # fmt: skip
PREFIX = "DIGITSERVE_"
# Ends of settings that are secret, or may be by mistake.
SECRET = ("_TOKEN", "_KEY", "_KEYS", "_ENDPOINT", "DIGITSERVE_JOBS", "DIGITSERVE_MODELS")


@dataclass(frozen=True)
class Placement:
    """Which cores the server and the load generators run on."""

    server: tuple[int, ...]  # none: the server was running before, and its cores are not known
    generators: tuple[int, ...]  # one for each; several may have to share a core
    allowed: tuple[int, ...] = field(default=(), compare=False)  # all that there are

    @classmethod
    def of(cls, *, workers: int = 1, generators: int | None = None) -> Self:
        """A core for each worker, and the others for the generators, at least one.

        Without a number of `generators`, there is one for each of the other cores.
        """
        on_linux()
        allowed = sorted(os.sched_getaffinity(0))
        server = tuple(allowed[: max(min(workers, len(allowed) - 1), min(workers, 1))])
        others = [core for core in allowed if core not in server] or allowed
        count = len(others) if generators is None else generators
        on_each = tuple(others[n % len(others)] for n in range(count))
        return cls(server, on_each, tuple(allowed))

    def with_servers(self, workers: int) -> Self:
        """The same with a core for each worker, which a generator may have to share."""
        return self if workers == 1 else replace(self, server=self.allowed[:workers])

    @property
    def shared(self) -> bool:
        return not set(self.server).isdisjoint(self.generators)

    def __str__(self) -> str:
        generators = f"generator on {_named(self.generators)}"
        if not self.server:
            return f"{generators}; the server was running: its cores are not known"
        shared = ": they share, as this machine has no other" if self.shared else ""
        return f"server on {_named(self.server)}, {generators}{shared}"


def on_linux() -> None:
    if not hasattr(os, "sched_getaffinity"):
        raise CannotMeasure("the bench pins processes and reads /proc, which only Linux has")


@contextmanager
def on(*cores: int) -> Iterator[None]:
    """Pin this process, and those that it starts in the block, to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Conditions:
    """The conditions under which numbers were measured."""

    date: str  # UTC
    command: str
    commit: str
    processor: str
    cores: int  # that this process may use
    pinned: str
    governor: str
    load: float  # of the last minute, before the bench began
    kernel: str
    python: str
    packages: dict[str, str]
    client: str
    settings: dict[str, str]  # DIGITSERVE_ variables that were passed on to the service
    model: str

    @classmethod
    def now(
        cls,
        *,
        command: str,
        pinned: object,
        client: str,
        model: object,
        settings: dict[str, str] | None = None,
    ) -> Self:
        """`settings`: those of the environment, unless others were passed on."""
        settings = settings_handed_on() if settings is None else settings
        return cls(
            date=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
            command=command,
            commit=_commit(),
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            pinned=str(pinned),
            governor=GOVERNOR.read_text().strip() if GOVERNOR.exists() else "unknown",
            load=os.getloadavg()[0],
            kernel=platform.release(),
            python=platform.python_version(),
            packages=_packages(),
            client=client,
            settings={name: _shown(name, text) for name, text in settings.items()},
            model=str(model),
        )


def settings_handed_on() -> dict[str, str]:
    """The service's settings in this process's environment, which it is measured with."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def _shown(name: str, text: str) -> str:
    """The value of a setting in reports: secrets are hidden."""
    return "..." if name.endswith(SECRET) else text


def _packages() -> dict[str, str]:
    """Those that are installed: of ONNX Runtime one of two."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit() -> str:
    """Of the checkout, marked if there are uncommitted changes."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(  # noqa: S603
            words, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return "not known: there is no git"
    return done.stdout.strip() or "not a checkout"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _named(cores: tuple[int, ...]) -> str:
    return f"core{'s' if len(cores) > 1 else ''} {', '.join(map(str, cores))}"

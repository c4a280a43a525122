"""Who is asked: a service that runs somewhere, or one that is started, on cores of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from loadtest import targets
from loadtest.errors import CannotMeasure
from loadtest.machine import on, on_linux, settings_handed_on
from loadtest.pictures import Pictures
from loadtest.request import picture
from loadtest.server import started
from loadtest.trial.options import Options

READY = "/readyz"
LOCAL = ("127.0.0.1", "localhost", "::1")
PATIENCE = 5.0  # seconds


@dataclass(frozen=True)
class Cores:
    """One of them in both where there is no other."""

    service: tuple[int, ...]  # none: it is not ours
    generator: tuple[int, ...]

    @classmethod
    def shared_out(cls, service: int) -> "Cores":
        """CannotMeasure if so many leave none for those who ask."""
        allowed = tuple(sorted(os.sched_getaffinity(0)))
        if len(allowed) == 1:
            return cls(allowed, allowed)
        if service >= len(allowed):
            raise CannotMeasure(
                f"--service-cores {service} leaves none of {len(allowed)} cores to locust: "
                f"at most {len(allowed) - 1}"
            )
        return cls(allowed[:service], allowed[service:])

    @property
    def all(self) -> tuple[int, ...]:
        """None where those of the service are not known."""
        return tuple(sorted({*self.service, *self.generator})) if self.service else ()

    def __str__(self) -> str:
        generator = f"locust on {_named(self.generator)}"
        if not self.service:
            return f"{generator}, the service is not ours to pin"
        if self.service == self.generator:
            return f"service and locust share {_named(self.service)}: there is no other"
        return f"service on {_named(self.service)}, {generator}"


@dataclass(frozen=True)
class Served:
    url: str
    pid: int | None  # None: not ours
    cores: Cores
    model: str
    settings: dict[str, str]  # DIGITSERVE_ variables that were handed on

    @property
    def processes(self) -> int:
        """Of locust, if nobody says how many: one a core, less one for a service beside it."""
        beside = self.pid is None and urlsplit(self.url).hostname in LOCAL
        return max(1, len(self.cores.generator) - beside)


@contextmanager
def served(options: Options) -> Iterator[Served]:
    """The service that is to be asked; CannotMeasure if there is none. This process moves away."""
    on_linux()
    if options.host:
        _there(options.host)
        cores = Cores((), tuple(sorted(os.sched_getaffinity(0))))
        yield Served(options.host, None, cores, "not known: the service was there before", {})
        return
    cores = Cores.shared_out(options.service_cores)
    pictures = Pictures.of_current(options.models, options.model)
    threads = {"DIGITSERVE_THREADS": str(len(cores.service))}
    settings = settings_handed_on()
    target = targets.service(options.models, options.model, threads | settings)
    print(f"starting the service on {pictures.folder}; {cores}", flush=True)
    probe = picture(pictures.pngs[0])
    with (
        started(target.command, target.environment, core=cores.service, probe=probe) as running,
        on(*cores.generator),
    ):
        yield Served(str(running.address), running.pid, cores, str(pictures.folder), settings)


def _there(url: str) -> None:
    try:
        with urlopen(url + READY, timeout=PATIENCE):  # noqa: S310 (http or https: see options.host)
            return
    except HTTPError as error:
        why = f"{READY} answered {error.code}"
    except (OSError, HTTPException) as error:
        why = str(error)
    raise CannotMeasure(
        f"no service is ready at {url}: {why}; start one with `make serve`, or leave out --host"
    )


def _named(cores: tuple[int, ...]) -> str:
    return f"core{'s' * (len(cores) > 1)} {', '.join(map(str, cores))}"

"""Put a service under the load of more and more users: python -m loadtest

    python -m loadtest                                    starts a service, 50 to 400 users
    python -m loadtest --host http://127.0.0.1:8000       tests one that is running
    python -m loadtest --p99 20ms --errors 0.01%          exit code 1 if that does not hold
    python -m loadtest -- --weights 'png=1 wrong=0'       what follows -- is for locust

Prints a line every five seconds, then a table and a verdict, and writes a report with a plot into
loadtest/results/<UTC time>/. Exit code: 0 the SLO (--p99, --errors) holds, 1 it does not, 2 it
could not be measured. Ctrl-C ends all that was started and reports what was measured until then.
"""

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from loadtest import arguments as kinds
from loadtest.client.locust import Locust, locust
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.host.machine import Conditions, Placement, on, settings_handed_on
from loadtest.ramp import report
from loadtest.ramp.result import NOT_MEASURED, Load, Result, steps_of
from loadtest.report.document import new_folder
from loadtest.report.slo import Slo
from loadtest.target import targets
from loadtest.target.monitor import Observation, Period, monitored
from loadtest.target.server import free_port, started
from loadtest.users.courses import FASTEST

INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells use
READY = "/readyz"
PATIENCE = 5.0  # seconds
PRINT_EVERY = 5.0  # seconds


class Target(NamedTuple):
    url: str
    pid: int | None  # None: the service was already running
    placement: Placement
    conditions: Conditions


def main(words: list[str] | None = None) -> int:
    arguments = kinds.parse(_parser(), words)
    try:
        with _target(arguments) as target:
            folder = new_folder(arguments.results, "%Y-%m-%dT%H-%M-%SZ")
            result = _measured(arguments, target, folder)
    except CannotMeasure as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return NOT_MEASURED
    (folder / "summary.json").write_text(result.json())
    (folder / "report.md").write_text(report.markdown(result))
    if result.steps:
        report.plot(result, folder / "load.png")
    print(f"\n{report.text(result)}\nreport: {folder}/report.md")
    return INTERRUPTED if result.stopped else result.verdict[0]


@contextmanager
def _target(arguments: Namespace) -> Iterator[Target]:
    """The service to test: one that is running, or one that is started on cores of its own."""
    placement = Placement.of(workers=0 if arguments.host else arguments.service_cores)
    conditions = partial(
        Conditions.now,
        command=arguments.command,
        pinned=placement,
        client=f"locust: up to {arguments.users} users, think time {arguments.think} s",
    )
    if arguments.host:
        _check_ready(arguments.host)
        found = conditions(model="not known: the service was already running", settings={})
        yield Target(arguments.host, None, placement, found)
        return
    images = SampleImages.of_current(arguments.models, arguments.name)
    found = conditions(model=images.folder)
    settings = {"DIGITSERVE_THREADS": str(len(placement.server))} | settings_handed_on()
    service = targets.service(arguments.models, arguments.name, settings)
    print(f"starting the service on {images.folder}; {placement}", flush=True)
    with (
        started(service, placement.server, probe=images.requests[0]) as running,
        on(*placement.generators),
    ):
        yield Target(str(running.address), running.pid, placement, found)


def _check_ready(url: str) -> None:
    try:
        with urlopen(url + READY, timeout=PATIENCE):  # noqa: S310 (http or https: see arguments.url)
            return
    except (OSError, HTTPException) as error:
        raise CannotMeasure(
            f"no service is ready at {url}: {error}; "
            "start one with `make serve`, or leave out --host"
        ) from error


def _measured(arguments: Namespace, target: Target, folder: Path) -> Result:
    processes = arguments.processes or len(target.placement.generators)
    stopped = False
    with locust(target.url, folder, _locust_words(arguments, processes)) as users:
        started_at = time.time()
        with monitored(target.url, service=target.pid, generator=users.pid) as observations:
            try:
                _follow(users, observations)
            except KeyboardInterrupt:
                print("\nstopping: the report is of what was measured until now", flush=True)
                stopped = True
    if not stopped:
        users.check()
    cores = min(processes, len(target.placement.generators))
    load = Load(started_at, arguments.think.mean, cores)
    steps = steps_of(users.rows("stats_history"), observations, load)
    slo = Slo(arguments.p99, arguments.errors)
    return Result(target.conditions, slo, steps, users.rows("stats"), stopped)


def _locust_words(arguments: Namespace, processes: int) -> list[str]:
    words = [f"--users={arguments.users}", f"--spawn-rate={min(arguments.users, FASTEST):g}"]
    words += [f"--run-time={arguments.run_time:g}s", "--shape=steps", f"--steps={arguments.steps}"]
    words += [f"--think={arguments.think}", f"--model={arguments.name}"]
    if processes > 1:
        port = free_port()
        words += [f"--processes={processes}", f"--master-bind-port={port}", f"--master-port={port}"]
    return [*words, *arguments.more]


def _follow(users: Locust, observations: list[Observation]) -> None:
    """Print what the service does until locust has ended by itself."""
    before, printed = observations[0], time.monotonic()
    while users.running():
        time.sleep(0.2)
        now = observations[-1]
        if time.monotonic() - printed < PRINT_EVERY or now is before:
            continue
        period = Period.between(before, now)
        line = now.error
        if period:
            line = (
                f"{period.rate:,.0f} answers/s  p50 {period.p50 * 1e3:.3g} ms  "
                f"p99 {period.p99 * 1e3:.3g} ms  5xx {period.failed}  batch {period.batch:.1f}  "
                f"queue {period.queue:.1f}  service {period.cpu:.0%}  locust {period.generator:.0%}"
            )
        print(f"{now.at:4.0f} s  {line}", flush=True)
        before, printed = now, time.monotonic()


def _parser() -> ArgumentParser:
    parser = kinds.parser("loadtest", __doc__, name="--model")
    add, whole = parser.add_argument, kinds.whole_number(1)
    add("--host", type=kinds.url, metavar="URL", help="a running service; default: start one")
    add("--users", type=whole, default=400, help="maximum number of users; default: 400")
    add("--steps", type=whole, default=8, help="number of equal steps up; default: 8")
    time, seconds = "length of the test; default: 96s", kinds.seconds
    add("--run-time", type=seconds, default="96s", metavar="TIME", help=time)
    think = "seconds between an answer and the user's next request; default: %(default)s"
    add("--think", type=kinds.think_time, default="0.05-0.5", metavar="FROM-TO", help=think)
    add(
        "--p99",
        type=seconds,
        default="50ms",
        metavar="TIME",
        help="p99 bound of the SLO; default: 50ms",
    )
    errors = "bound of the SLO on failed requests; default: 0.1%%"
    add("--errors", type=kinds.fraction, default="0.1%", metavar="SHARE", help=errors)
    add("--processes", type=whole, help="processes of locust; default: one for each of its cores")
    cores = "cores of the service that is started; default: 1"
    add("--service-cores", type=whole, default=1, metavar="N", help=cores)
    results = "folder for the results; default: %(default)s"
    add("--results", type=Path, metavar="DIR", default=Path("loadtest/results"), help=results)
    add("more", nargs="*", metavar="-- ARGUMENT", help="arguments of locust: locust --help")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also ends what was started
    sys.exit(main())

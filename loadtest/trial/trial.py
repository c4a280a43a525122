"""From a service and its users to a result: start, watch, wait, end."""

import time
from dataclasses import replace
from pathlib import Path

from loadtest.machine import Conditions
from loadtest.trial import files, generator
from loadtest.trial.options import Options
from loadtest.trial.progress import follow
from loadtest.trial.result import Result
from loadtest.trial.second import Recording
from loadtest.trial.serving import Served, served
from loadtest.trial.step import Asking
from loadtest.trial.verdict import RAMP
from loadtest.watch import watched


def measured(options: Options, command: str) -> Result:
    """CannotMeasure if there is no service, or locust does not do what it was asked to."""
    with served(options) as service:
        conditions = _conditions(options, service, command)
        return _asked(options, service, conditions, files.made(options.results))


def _asked(options: Options, service: Served, conditions: Conditions, folder: Path) -> Result:
    processes = options.processes or service.processes
    recording, stopped = Recording(folder / generator.SECONDS), False
    with generator.asking(options, service.url, folder, processes) as locust:
        cores = min(processes, len(service.cores.generator))
        asking = Asking(
            options.think,
            cores,
            len(service.cores.all),
            started=time.time(),
            in_steps=options.shape != RAMP,
        )
        with watched(
            service.url, service=service.pid, generator=locust.pid, cores=service.cores.all
        ) as looks:
            try:
                follow(locust, recording, looks, asking)
            except KeyboardInterrupt:
                print("\nstopping: the report is of what was measured until now", flush=True)
                stopped = True
    if not stopped:
        generator.check(locust, folder)
    return Result(
        folder=folder,
        conditions=conditions,
        shape=options.shape,
        slo=options.slo,
        asking=asking,
        seconds=recording.seconds(ended=True),
        looks=looks,
        stopped=stopped,
    )


def _conditions(options: Options, service: Served, command: str) -> Conditions:
    told = Conditions.now(
        command=command,
        pinned=str(service.cores),
        client=f"locust: {' '.join(options.words)}",
        model=service.model,
        settings=service.settings,
    )
    # This process has moved away from the service's.
    return replace(told, cores=len(service.cores.all) or told.cores)

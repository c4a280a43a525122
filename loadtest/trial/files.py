"""The folder of one load test: what was watched, what came of it, and the report to read.

report.md, *.png             to read and to look at
summary.json                 the same numbers, for programs
looks.csv                    what was watched at the service, a line a look
seconds/, locust*.csv, locust.html, locust.log    what locust's users and locust itself wrote
"""

import csv
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.errors import CannotMeasure
from loadtest.exposition import Exposition
from loadtest.slo import Slo
from loadtest.trial.document import markdown
from loadtest.trial.result import Result
from loadtest.trial.second import Told
from loadtest.trial.step import PREFIX, Step
from loadtest.watch import Look

HTTP = f"{PREFIX}http_request_duration_seconds"


def made(results: Path) -> Path:
    """A new folder, named for now; CannotMeasure if there can be none."""
    folder = results / time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CannotMeasure(f"no folder for results: {error}; name another: --results") from error
    return folder


def write(result: Result) -> None:
    from loadtest.trial import plots  # matplotlib: a second to import, and not everywhere installed

    folder = result.folder
    with (folder / "looks.csv").open("w", newline="") as file:
        rows = [_look(look) for look in result.looks]
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "summary.json").write_text(json.dumps(_summary(result), indent=2) + "\n")
    pictures = plots.draw(result, folder)
    (folder / "report.md").write_text(markdown(result, pictures))


def _look(look: Look) -> dict[str, Any]:
    """Counters are as the service tells them: since it began."""
    use = look.service
    counted = _counted(look.metrics or Exposition({}))
    return {
        "seconds": round(look.at, 3),
        "scrape_seconds": round(look.took, 6),
        "lost": look.lost,
        **{name: "" if look.metrics is None else value for name, value in counted.items()},
        "processes": use.processes if use else "",
        "cpu_seconds": round(use.cpu, 2) if use else "",
        "rss_bytes": use.resident if use else "",
        "pss_bytes": use.proportional if use else "",
        "descriptors": use.descriptors if use else "",
        "threads": use.threads if use else "",
        "generator_cpu_seconds": round(look.generator_cpu, 2),
        "busy_seconds": round(look.busy, 2),
    }


def _counted(told: Exposition) -> dict[str, float]:
    codes = told.by(f"{PREFIX}http_requests_total", "code")
    return {
        "requests": sum(codes.values()),
        **{
            f"requests_{first}xx": sum(codes[code] for code in codes if code.startswith(first))
            for first in "245"
        },
        "request_seconds": told.total(f"{HTTP}_sum"),
        "batches": told.total(f"{PREFIX}batch_size_count"),
        "pictures": told.total(f"{PREFIX}batch_size_sum"),
        "queue_depth": told.total(f"{PREFIX}queue_depth"),
        "queue_wait_seconds": told.total(f"{PREFIX}queue_wait_seconds_sum"),
        "shed": told.total(f"{PREFIX}shed_total"),
        "uncertain": told.total(f"{PREFIX}predictions_uncertain_total"),
    }


def _summary(result: Result) -> dict[str, Any]:
    curve = result.curve
    return {
        "title": curve.title,
        "verdict": result.verdict.words,
        "exit_code": result.verdict.code,
        "stopped": result.stopped,
        "generator_bound": curve.generator_bound,
        "slo": asdict(result.slo),
        "knee": _step(curve.knee, result.slo) if curve.knee else None,
        "steps": [_step(step, result.slo) for step in curve.steps],
        "kinds": {name: _told(told) for name, told in result.kinds.items()},
        "conditions": asdict(result.conditions),
    }


def _step(step: Step, slo: Slo) -> dict[str, Any]:
    return {
        "users": step.users,
        "offered": step.offered,
        "rate": step.rate,
        "p95": step.p95,
        **_told(step.told),
        "holds": slo.holds(p99=step.p99, errors=step.told.errors),
        "began": step.began,
        "seconds": step.seconds,
        "service": asdict(step.service) if step.service else None,
        "generator": step.generator,
        "others": step.others,
    }


def _told(told: Told) -> dict[str, Any]:
    return {
        "asked": told.asked,
        "failed": told.failed,
        "refused": told.refused,
        "p50": told.quantile(0.5),
        "p99": told.quantile(0.99),
    }

"""A load test in words and tables: for the terminal, and with pictures as report.md."""

from loadtest import document, report
from loadtest.trial import tables
from loadtest.trial.curve import CARRIED, LONG
from loadtest.trial.result import Result
from loadtest.trial.step import BUSY, NOISY, PIECE, SETTLE

HOW = f"""\
## What the numbers are

* **offered**: users / mean time to think, in requests a second: what they would ask for if answers
  took no time.
* **right**: answers a second that were what the request should be told; a broken picture's 4xx is
  right. Everything else failed or, if it was 503 with Retry-After, was refused. For the SLO both
  are errors: a user did not get an answer.
* **p50, p95, p99**: of right answers, from each single one, to three digits; not locust's own,
  which are of the last ten seconds. The time that the generator needs to read an answer is in them.
* A **step** is as long as the number of users stays the same, less its first {SETTLE} seconds, in
  which the new ones begin all at once (a quarter of a short one). The shape ramp is cut into pieces
  of {PIECE} seconds.
* The **knee** is the step with the most users that is carried: right answers come at
  {CARRIED:.0%} of the offered rate or more, and the SLO holds in it. Where users think for less
  than {LONG:g} times the SLO's p99, the SLO alone counts: answers within it already keep them from
  what is offered.
* **batch**: pictures of a model call, mean. **queue**: pictures waiting for the model, mean over
  time (the time that pictures waited, divided by the time). **shed**: the share of requests that
  the service refused or gave up on. All three as the service counts them.
* **service CPU**: of one core. **generator CPU**: all processes of locust, of the cores that they
  may use; above {BUSY:.0%} it is locust that was measured. **others**: what somebody else took of
  all cores of both, said above {NOISY:.0%}.
* The **SLO** is judged over the whole run: errors of all requests, p99 of all steps together (of
  the shape spike, where users come suddenly, of all answers). Of the shape ramp it is asked whether
  it held in any step before it broke.
"""


def plain(result: Result) -> str:
    parts = [
        report.plain(tables.steps(result.curve)) if result.curve.steps else "",
        report.plain(tables.kinds(result.kinds)) if result.kinds else "",
        *_said(result),
    ]
    return "\n\n".join(filter(None, parts))


def markdown(result: Result, pictures: list[str]) -> str:
    parts = [
        f"# {result.curve.title}",
        *_said(result)[1:],
        *(f"![{name}]({name})" for name in pictures),
        "## Steps",
        report.markdown(tables.steps(result.curve)),
        "## Kinds of requests",
        report.markdown(tables.kinds(result.kinds)),
        HOW.strip(),
        "## Conditions",
        _conditions(result),
    ]
    return "\n\n".join(parts) + "\n"


def _conditions(result: Result) -> str:
    theirs = {"settings handed on": "none: the service was there before"}
    more = {} if result.asking.all_cores else theirs
    return document.conditions(result.conditions, more, ours="DIGITSERVE_THREADS")


def _said(result: Result) -> list[str]:
    stopped = ["Stopped before its time: all this is of what was measured until then."]
    others = result.curve.others
    noisy = f"The machine was not quiet: others took up to {others:.0%} of these cores in a step."
    return [
        f"{result.curve.title}.",
        f"{result.verdict.words}.",
        *([noisy] if others > NOISY else []),
        *(stopped if result.stopped else []),
    ]

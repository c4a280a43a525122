"""The steps of a job. Each takes a Job and returns it further on, and may run twice without harm.

    train     runs/<job>/ holds a completed run: it is begun, resumed, or was complete already
    publish   the store holds a version with `card.job`, judged against the current version
    settle    it is activated, kept, or awaits approval
    decide    what awaited approval is activated or rejected

What a step has done can be seen on the disk, not only in the database: so a worker that is killed
between the two repeats nothing.
"""

import json
import logging
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from contract import programs
from contract.activation import published_by
from contract.card import Gate
from contract.errors import Moved, NoVersion, StoreError
from contract.jobs import FINAL, Decision, Job, Progress
from contract.programs import Interrupted
from contract.store import Store
from retraining.settings import GB, Settings

# Files of a run: training/run.py describes them.
FACTS, CHECKPOINT, LAST_PLOT = "run.json", "checkpoint.pt", "loss_graph.png"
OPTIONS = "recipe.toml"
RESUMABLE = timedelta(days=30)  # in which the run of a job that could be resumed is not pruned
ROUNDS = 5  # of judging, while other versions become current
JUDGING = "Comparing with the current version"  # begins a line of export's log

log = logging.getLogger("retraining")


class Failed(Exception):
    """The job cannot go on; the message is the reason, a sentence."""


class Reporter(Protocol):
    """Where a step reports to, and what may stop it."""

    def job(self, job: Job) -> None: ...
    def progress(self, job: Job, progress: Progress) -> None: ...
    def line(self, line: str) -> None: ...
    def stop_requested(self) -> bool: ...
    def first(self, name: str, value: int) -> int:
        """Record a value, unless an earlier attempt of the step has; returns what is recorded."""
        ...


def train(job: Job, settings: Settings, reporter: Reporter) -> Job:
    folder = settings.runs / job.id
    job = _changed(job, reporter, state="training", run=job.id, worker=settings.name,
                   started=job.started or _now(), resumable=True)  # fmt: skip

    def command() -> list[str] | None:
        if (folder / CHECKPOINT).exists() and (folder / LAST_PLOT).exists():
            return None
        _check_disk(settings)
        return ["training", *_training_words(job, settings, folder, reporter)]

    def report(name: str, line: str) -> None:
        nonlocal job
        if name == programs.LOG:
            reporter.line(line)
            return
        try:
            progress = Progress.model_validate_json(line)
        except ValueError:
            return  # a line that a full disk cut short
        job = job.model_copy(update={"progress": progress})
        reporter.progress(job, progress)

    code = programs.run(
        command,
        folder,
        settings.environment,
        stop_requested=reporter.stop_requested,
        report=report,
    )
    if code:
        raise Failed(programs.reason(folder, "training", code))
    return job


def publish(job: Job, settings: Settings, reporter: Reporter) -> Job:
    """Export and judge. The version may be one that an earlier run of this step has published."""
    folder = settings.runs / job.id
    job = _changed(job, reporter, state="exporting")

    def report(name: str, line: str) -> None:
        nonlocal job
        if name == programs.LOG:
            reporter.line(line)
            if line.startswith(JUDGING):
                job = _changed(job, reporter, state="judging")

    def command() -> list[str] | None:
        if published_by(job.id, settings.store()):
            return None
        words = ["export", "--run", str(folder), "--judge", "--job", job.id, "--no-activate"]
        return [*words, "--models", str(settings.models), "--name", settings.model]

    code = programs.run(
        command,
        folder,
        settings.environment,
        stop_requested=reporter.stop_requested,
        report=report,
    )
    if code:
        raise Failed(programs.reason(folder, "export", code))
    number, gate = _published(job, settings.store())
    parent = gate.parent if gate else None
    update = _updated if job.state == "judging" else _changed
    return update(job, reporter, state="judging", version=number, gate=gate, parent=parent)


def settle(job: Job, settings: Settings, reporter: Reporter) -> Job:
    """Do what the request says. The state stays `judging` if it must be judged again."""
    wanted = job.request.activate
    if wanted == "ask":
        return _awaiting_approval(job, reporter)
    if wanted == "never":
        return _ended(job, reporter, "kept", "the request was to publish it only")
    if job.gate and _depends_on_unreviewed(job.gate):
        return _awaiting_approval(job, reporter, verdict(job))
    if job.gate and job.gate.verdict != "better":
        return _ended(job, reporter, "kept", verdict(job))
    try:
        return _activated(job, settings, reporter)
    except Moved as moved:
        reporter.line(f"{moved}: it is judged again")
        return _changed(job, reporter, state="judging")


def give_up(job: Job, settings: Settings, reporter: Reporter) -> Job:
    raise Failed("other versions became current each time while it was judged: resume it later")


def decide(job: Job, decision: Decision, by: str, settings: Settings, reporter: Reporter) -> Job:
    if decision == "reject":
        return _ended(job, reporter, "rejected", f"rejected by {by}")
    worse = job.gate is not None and job.gate.verdict == "worse"
    try:
        return _activated(
            job, settings, reporter, f"approved by {by}" + worse * f", although {verdict(job)}"
        )
    except Moved as moved:
        return _ended(
            job,
            reporter,
            "kept",
            f"{moved}, with which it was compared: retrain, or activate version {job.version} by "
            "hand",
        )


def failed(job: Job, reporter: Reporter, reason: str) -> Job:
    log.error("job %s failed: %s", job.id, reason)
    return _ended(job, reporter, "failed", reason, resumable=True)


def verdict(job: Job) -> str:
    """Why a version is not activated without a person, as a sentence."""
    assert job.gate is not None
    gate = job.gate
    if gate.verdict == "better":
        return (
            f"it is better than version {gate.parent}, but trained on corrections that nobody "
            f"reviewed: {gate.unreviewed_trained:,}"
        )
    worse = [check.reason for check in gate.checks if not check.passed]
    if worse:
        return f"it is worse than version {gate.parent}: {'; '.join(worse)}"
    reason = (
        f"it is not better than version {gate.parent}: of {gate.images:,} images it gains "
        f"{gate.gained} and loses {gate.lost}"
    )
    if gate.unreviewed_improved:
        reason += (
            f"; only corrections that nobody reviewed improved: it gains {gate.unreviewed_gained} "
            f"of them and loses {gate.unreviewed_lost}"
        )
    return reason


def is_needed(job: Job) -> bool:
    """Whether its run and its entry in the database are still of use."""
    if not job.resumable:
        return job.state not in FINAL
    return _now() - (job.ended or job.created) < RESUMABLE


def prune(settings: Settings, jobs: Collection[Job]) -> list[Path]:
    """Remove the oldest runs of jobs; those of needed jobs and of the current version stay.

    `jobs` are all that the database has. Without the current version nothing is removed.
    """
    try:
        store = settings.store()
        serving = store.card(store.current()).run
    except (StoreError, OSError) as error:
        log.warning("runs are not pruned: %s", error)
        return []
    stay = {serving, *(job.id for job in jobs if is_needed(job))}
    runs = sorted(_runs_of_jobs(settings.runs), key=lambda run: run.stat().st_mtime)
    going = [run for run in runs[: -settings.keep_runs] if run.name not in stay]
    for run in going:
        shutil.rmtree(run, ignore_errors=True)
    return going


# ---- training -----------------------------------------------------------------------------------


def _training_words(job: Job, settings: Settings, folder: Path, reporter: Reporter) -> list[str]:
    """The flags that begin the run, or resume it."""
    if (folder / FACTS).exists():
        return ["--resume", str(folder)]
    request = job.request
    if own := {"network", "teacher_network"} & _with_colon(request.recipe):
        raise Failed(
            f"{', '.join(sorted(own))}: a network of your own runs code, and jobs run none that a "
            "request names: train it at a terminal"
        )
    folder.mkdir(parents=True, exist_ok=True)
    options = (f"{json.dumps(name)} = {json.dumps(v)}\n" for name, v in request.recipe.items())
    (folder / OPTIONS).write_text("".join(options))
    words = ["--job", job.id, "--runs", str(settings.runs), "--recipe", str(folder / OPTIONS)]
    words += [f"--data={request.data}"] if request.data else _data_of_current(settings)
    if request.preset != "default":  # without one, the recipe is what suits the data
        words += ["--preset", request.preset]
    return [*words, *(_corrections(settings, reporter) if request.corrections else ())]


def _corrections(settings: Settings, reporter: Reporter) -> list[str]:
    """The flags that train on the accepted corrections of users."""
    accepted = settings.corrections
    if accepted is None:
        reporter.line("Without corrections: DIGITSERVE_FEEDBACK is not set for the worker")
    elif any(accepted.glob("*/*.png")):
        return ["--also", str(accepted)]
    else:
        reporter.line(f"Without corrections: {accepted} has none")
    return []


def _with_colon(recipe: dict[str, Any]) -> set[str]:
    return {name for name, value in recipe.items() if ":" in str(value)}


def _data_of_current(settings: Settings) -> list[str]:
    """The flags that read the data set of the current version, as its run did if it is there."""
    store = settings.store()
    try:
        card = store.card(store.current())
    except NoVersion:
        return []
    if card.data_set is None:
        raise Failed(
            f"version {store.current()} was imported, so its data are not known: name some (data)"
        )
    with suppress(OSError, ValueError, KeyError):
        facts = json.loads((settings.runs / (card.run or "-") / FACTS).read_text())["data"]
        return [f"--data={facts['wanted']}", *_reading(facts.get("reading", {}))]
    source, name = card.data_set.source, card.data_set.name
    return [f"--data={source if Path(source).exists() else name}"]


def _reading(facts: dict[str, Any]) -> Iterator[str]:
    """Flags of a training that reads its images in the same way."""
    for name in ("size", "limit"):
        if facts.get(name) is not None:
            yield f"--{name}={facts[name]}"
    if facts.get("gray") is not None:
        yield "--gray" if facts["gray"] else "--no-gray"
    kind = facts.get("preparation", "auto")
    yield f"--preparation={kind if isinstance(kind, str) else kind['kind']}"


def _check_disk(settings: Settings) -> None:
    settings.runs.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.runs).free
    if free < settings.min_free * GB:
        raise Failed(
            f"{settings.runs} has {free / GB:.1f} GB free, less than the {settings.min_free:g} GB "
            "that a training needs (--min-free): free some space and resume the job"
        )


def _runs_of_jobs(runs: Path) -> Iterator[Path]:
    for facts in runs.glob(f"*/{FACTS}"):
        with suppress(OSError, ValueError, AttributeError):
            if json.loads(facts.read_text()).get("job"):
                yield facts.parent


# ---- publishing and activation -------------------------------------------------------------------


def _published(job: Job, store: Store) -> tuple[int, Gate | None]:
    """The job's newest version, or the newest that was compared with the current one."""
    found = [(number, store.card(number).gate) for number in store.of_job(job.id)]
    if not found:
        raise Failed(f"export ended without an error, but {store.place} has no version of the job")
    try:
        current = store.current()
    except NoVersion:
        return found[0]
    return next((each for each in found if each[1] and each[1].parent == current), found[0])


def _activated(job: Job, settings: Settings, reporter: Reporter, reason: str | None = None) -> Job:
    """Make the version current; Moved if the one that it was compared with no longer is."""
    assert job.version is not None
    number = job.version
    job = _changed(job, reporter, state="activating", worker=settings.name)
    if reporter.stop_requested():
        raise Interrupted
    store = settings.store()
    activations = [each.after for each in store.history()].count(number)
    # A switch by hand after this step has run is not undone when it runs again.
    if activations == reporter.first(f"activations of {number}", activations):
        store.activate(number, expected=job.parent)
    return _ended(job, reporter, "activated", reason)


def _depends_on_unreviewed(gate: Gate) -> bool:
    """Whether corrections that nobody reviewed may be why a version looks better."""
    if gate.verdict == "better":
        return gate.unreviewed_trained > 0
    return gate.verdict == "equal" and gate.unreviewed_improved


def _awaiting_approval(job: Job, reporter: Reporter, reason: str | None = None) -> Job:
    return _changed(job, reporter, state="awaiting_approval", resumable=False, reason=reason)


def _updated(job: Job, reporter: Reporter, **changes: Any) -> Job:
    job = job.model_copy(update=changes)
    reporter.job(job)
    return job


def _changed(job: Job, reporter: Reporter, **changes: Any) -> Job:
    """`_updated`, also in the log of the worker."""
    job = _updated(job, reporter, **changes)
    log.info("job %s: %s", job.id, re.sub("_", " ", job.state))
    return job


def _ended(job: Job, reporter: Reporter, state: str, reason: str | None, **changes: Any) -> Job:
    assert state in FINAL
    changes = {"resumable": False} | changes
    return _changed(job, reporter, state=state, reason=reason, ended=_now(), **changes)


def _now() -> datetime:
    return datetime.now(UTC)

"""What the service and the retraining worker agree on: a job, its states and its events.

    POST /v1/retrain --Request--> queue in the database --worker--> Job and events --> GET, SSE

Both keep a job as the JSON of these models, with DBOSPortableJSONSerializer; the database is
`DIGITSERVE_JOBS`. A job is the workflow that has its id:

    submit           enqueue WORKFLOW on QUEUE with the id and the Request as a dict
    cancel           cancel the workflow
    resume           a cancelled job: resume the workflow on QUEUE; a failed one: rewind it on
                     QUEUE, or its decision on DECISIONS if that is what failed
    approve, reject  enqueue DECISION on DECISIONS with the id, a Decision, and by whom; its
                     workflow has the id `decision_of(id)`, so that there is one decision at most

Each workflow writes the Job and the events: of the decision's, a reader shows the Job in place of
the job's own, and the events after them. A workflow cannot write anything while it waits or is
cancelled, so a reader passes what it has read to `seen`.
"""

import json
import re
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from contract.card import Fraction, Gate

# Names in the database.
APPLICATION: Final = "digitserve"  # the owner of the queues
QUEUE: Final = "retrain"  # one job at a time, over all workers
DECISIONS: Final = "decisions"  # a second queue: a decision does not wait for a training
WORKFLOW: Final = "retrain"  # trains, exports, judges and activates
DECISION: Final = "decide"  # activates or rejects what a job has published
JOB: Final = "job"  # the event that holds the Job
EVENTS: Final = "events"  # the stream of Events

State = Literal[
    "queued",
    "training",
    "exporting",
    "judging",
    "activating",
    "activated",  # the new version serves
    "kept",  # published, but the old version goes on serving: `reason` says why
    "awaiting_approval",  # published, until somebody approves or rejects it
    "rejected",
    "cancelled",
    "failed",  # `reason` says why
]
FINAL: Final = frozenset({"activated", "kept", "rejected", "cancelled", "failed"})
# States in which nobody can have decided on a job, and those that will change by themselves.
BEFORE_DECISION: Final = frozenset({"queued", "training", "exporting", "judging"})
RUNNING: Final = BEFORE_DECISION | {"activating"}
Decision = Literal["approve", "reject"]
Preset = Literal["quick", "default", "better", "best"]
# The names of the fields of training.recipe.Recipe, which the service cannot import.
OPTIONS: Final = (
    "network", "width", "hidden_size", "mirror", "dropout1", "dropout2", "pretrained", "epochs",
    "batch_size", "optimiser", "learning_rate", "momentum", "weight_decay", "label_smoothing",
    "schedule", "decay_every", "decay_factor", "decay_patience", "ema", "teachers",
    "teacher_network", "teacher_width", "teacher_epochs", "distillation", "softness", "hands",
    "without_hands", "rotation", "scale", "aspect", "shear", "shift", "elastic", "stroke",
    "spoiled", "displacement", "outline", "line", "blur", "contrast", "noise", "erasing",
    "non_digits", "flip", "crop", "colour", "cutout", "plain_epochs", "validation",
    "validation_seed", "keep", "patience", "also_weight", "min_delta", "device",
    "mixed_precision", "threads", "seed",
)  # fmt: skip
# Of options that the page's form has: as in Recipe, which checks the others when a job runs.
BOUNDS: Final[dict[str, tuple[int, int] | tuple[float, float]]] = {
    "epochs": (1, 10_000),
    "batch_size": (2, 65_536),
    "learning_rate": (1e-6, 10.0),
    "width": (0.25, 8.0),
    "seed": (0, 2**62),
}
_BOUNDED: Final[dict[str, JsonValue]] = {
    name: {
        "type": "integer" if isinstance(low, int) else "number",
        "minimum": low,
        "maximum": high,
    }
    for name, (low, high) in BOUNDS.items()
}
# Also the name of the run's folder.
JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


SQLITE, POSTGRES = "sqlite:///", "postgresql://"
FORMS: Final = (
    "a database is sqlite:////path/to/jobs.sqlite or postgresql://user:password@host/database"
)


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Request(_Facts):
    """What is trained, and what becomes of it."""

    preset: Preset = "default"
    recipe: dict[str, int | float | str | bool] = Field(
        default={},
        description="options of `python -m training` that differ from the preset: epochs, ...",
        json_schema_extra={"propertyNames": {"enum": [*OPTIONS]}, "properties": _BOUNDED},
    )
    data: str | None = Field(
        default=None,
        max_length=1024,
        description="a data set's name or a folder that the worker can read; null: that of the "
        "version that serves",
    )
    corrections: bool = Field(
        default=True, description="train on the accepted corrections of users too"
    )
    activate: Literal["never", "if_better", "ask"] = Field(
        default="ask",
        description="never: only publish; if_better: serve it if the gate finds it better, and "
        "wait for approval if it was trained on corrections that nobody reviewed or only these "
        "improved; ask: wait for approval",
    )

    @field_validator("recipe")
    @classmethod
    def _check_options(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        for name in recipe:
            if name not in OPTIONS:
                near = get_close_matches(name.replace("-", "_"), OPTIONS, 1)
                hint = f"did you mean {near[0]}?" if near else "`python -m training --help` has all"
                raise ValueError(f"there is no option {name[:64]}: {hint}")
        return recipe


class Progress(_Facts):
    """Where a training is: about one a second."""

    epoch: Annotated[int, Field(ge=1)]  # the one that runs, or that ended where `within` is 1
    epochs: int
    within: Fraction  # of this epoch
    loss: float
    accuracy: Fraction  # of the augmented training images
    validation_loss: float | None = None  # at the end of an epoch
    validation_accuracy: Fraction | None = None
    learning_rate: float
    images_per_second: float
    seconds: float  # since the training began, without interruptions
    seconds_left: float | None = None
    device: str = "cpu"
    cpu: float | None = None  # cores in use by the training
    teacher: int | None = None  # the number of a teacher that trains first


class Job(_Facts):
    """The state of one job, as `GET /v1/retrain/{id}` returns it."""

    id: JobId
    state: State
    request: Request
    model: str
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    worker: str | None = None  # the one that runs it, or did
    resumable: bool = False  # `resume` would continue it where it was
    reason: str | None = None  # why it has this state: a sentence
    run: str | None = None  # id of the training run
    progress: Progress | None = None  # the last of the training
    parent: int | None = None  # version that served when it was judged
    version: int | None = None  # published
    gate: Gate | None = None

    @field_validator("gate", mode="before")
    @classmethod
    def _of_json(cls, value: Any) -> Any:
        """A card's models are strict: they accept a list in place of a tuple only in JSON."""
        return Gate.model_validate_json(json.dumps(value)) if isinstance(value, dict) else value


class Event(_Facts):
    """One element of a job's stream.

    data: of a `job` event a Job, of `progress` a Progress, of `log` {"line": ...}.
    """

    kind: Literal["job", "progress", "log"]
    at: datetime
    data: dict[str, Any]


class Position(NamedTuple):
    """How many events a reader has of a job and, once it has all of them, of its decision."""

    job: int = 0
    decision: int = 0


class Listed(NamedTuple):
    jobs: list[Job]  # the newest first
    unreadable: int  # further ones, which another version of the worker wrote


class Found(NamedTuple):
    """What a reader of a job's events gets: the next ones, or else the job as it is after them."""

    events: list[tuple[Position, Event]]
    job: Job | None = None


class JobError(Exception):
    """What was requested of a job is refused; the message says why."""


class NoJob(JobError):
    """There is no job with that id."""


class UnreadableJob(JobError):
    """Another version of the worker wrote the job."""


class TooManyJobs(JobError):
    """As many jobs wait as may."""


class Conflict(JobError):
    """There is a job or a decision with that id, and it is another one."""


class WrongState(JobError):
    """The job is in a state in which that cannot be done."""

    def __init__(self, job: Job, action: str) -> None:
        """`action` is what cannot be done, as a participle."""
        state = job.state.replace("_", " ")
        super().__init__(f"job {job.id} is {state}, so it cannot be {action}")


class DatabaseUnavailable(Exception):
    """The database cannot be used now.

    The message is for the log and the terminal: it may name a host or a user, but no password.
    """


class NoDatabase(DatabaseUnavailable):
    """No worker has created the file yet, or it was removed."""


def out_of_bounds(recipe: dict[str, Any]) -> str | None:
    """A sentence on the first value that BOUNDS do not allow; None if there is none."""
    for name, (low, high) in BOUNDS.items():
        value = recipe.get(name, low)
        kinds = (int,) if isinstance(low, int) else (int, float)
        if type(value) not in kinds or not low <= value <= high:
            kind = "whole number" if kinds == (int,) else "number"
            return f"{name} must be a {kind} from {low:,g} to {high:,g}"
    return None


def check_database(url: str) -> None:
    """ValueError unless it is the URL of a database. The message shows no part of it."""
    if url.startswith(SQLITE):
        if url.endswith(("/", ":memory:")):
            raise ValueError(f"it names no file: {FORMS}")
        if re.search("[?#]", url):
            raise ValueError(f"neither ? nor # may be in the path of the file: {FORMS}")
    elif url.startswith(POSTGRES):
        _check_postgres(url.removeprefix(POSTGRES))
    else:
        raise ValueError(FORMS)


def _check_postgres(url: str) -> None:
    """Stricter than the drivers, which would take a part of the password for something else."""
    if url.count("@") > 1:
        raise ValueError("it has more than one @: write the one in a password as %40")
    credentials, _, address = url.rpartition("@")
    if re.search(r"[/?#\[\]\s]|%(?![0-9A-Fa-f]{2})", credentials):
        raise ValueError(
            "before the @, write / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D, % as %25 and a "
            "blank as %20"
        )
    parts = re.fullmatch(
        r"(?:\[[0-9A-Fa-f:.]+\]|[^/?#:\[\]\s]+)(?::(?P<port>[^/?#]*))?(?:/(?P<name>[^/?#\s]*))?"
        r"(?:\?(?P<query>[^#\s]*))?",
        address,
    )
    if parts is None:
        raise ValueError(FORMS)
    port, name, query = parts.group("port", "name", "query")
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 2**16):
        raise ValueError("its port is not a number from 1 to 65535")
    if not name:
        raise ValueError(f"it names no database after the host: {FORMS}")
    if any("password" in key.lower() for key, _ in parse_qsl(query or "", keep_blank_values=True)):
        raise ValueError(f"its password is in the query: {FORMS}")


def decision_of(job_id: str) -> str:
    """The id of the workflow that decides on a job."""
    return f"{job_id}.decision"


def seen(job: Job, status: str) -> Job:
    """`job` as its worker wrote it last, in the state that the workflow's `status` implies."""
    if status in ("ENQUEUED", "DELAYED"):  # for the first time, or again after an interruption
        again = {"state": "queued", "reason": None, "ended": None, "resumable": False}
        return job.model_copy(update=again)
    if job.state in FINAL or job.state == "awaiting_approval":
        return job
    if status == "CANCELLED":
        return job.model_copy(update={"state": "cancelled", "resumable": True})
    if status in ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
        reason = job.reason or "the worker could not run it: its log says why"
        return job.model_copy(update={"state": "failed", "resumable": True, "reason": reason})
    return job

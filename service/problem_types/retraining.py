"""Retraining: jobs, their database, and training runs."""

from service.errors import ProblemType

RETRAINING_NOT_SET_UP = ProblemType(
    "retraining-not-set-up",
    404,
    "Retraining is not set up",
    "The service was started without the database of retraining jobs.",
    "Name the database, start a worker with `make worker` (compose: `docker compose --profile "
    "retraining up`), and restart the service. SQLite needs nothing but a path that both can "
    "write, such as `sqlite:////var/lib/digitserve/jobs.sqlite`.",
    ("DIGITSERVE_JOBS",),
)
RUNS_NOT_SHOWN = ProblemType(
    "runs-not-shown",
    404,
    "Training runs are not shown",
    "The service was started without the folder of training runs.",
    "Name the folder that `python -m training` writes runs to, and restart the service.",
    ("DIGITSERVE_RUNS",),
)
NO_SUCH_JOB = ProblemType(
    "no-such-job",
    404,
    "No such job",
    "There is no retraining job with this id.",
    "Use the id of a job that `GET /v1/retrain` lists.",
)
NO_SUCH_RUN = ProblemType(
    "no-such-run",
    404,
    "No such run",
    "The folder of runs has no training run with this id.",
    "Use the id of a run that `GET /v1/runs` lists.",
)
NO_COMPARISON = ProblemType(
    "no-comparison",
    404,
    "No comparison yet",
    "The job has not published a version that was compared with the one that served.",
    "Wait until the job has been judged: its events say when.",
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    409,
    "Idempotency-Key was used before",
    "A job was started with the same `Idempotency-Key` and another request.",
    "Send the request with a new key, or the same request with the same key to get that job.",
)
JOB_IN_OTHER_STATE = ProblemType(
    "job-in-other-state",
    409,
    "Not possible in this state",
    "The job is in a state in which that cannot be done: only a job that waits or runs can be "
    "cancelled, only one that was cancelled or has failed resumed, and only one that awaits "
    "approval approved or rejected.",
    "Read the job's state; start another job if this one has ended.",
)
ALREADY_DECIDED = ProblemType(
    "already-decided",
    409,
    "Already decided",
    "The job was rejected before and is to be approved now, or the reverse.",
    "Activate the version, or the one before it, by its number instead.",
)
TOO_MANY_JOBS = ProblemType(
    "too-many-jobs",
    503,
    "Too many jobs wait",
    "As many retraining jobs wait as may. One runs at a time.",
    "Wait for one to end, or cancel one that waits.",
    ("DIGITSERVE_MAX_JOBS",),
    retry=True,
)
TOO_MANY_REQUESTS_WAIT = ProblemType(
    "too-many-requests-wait",
    503,
    "Too many requests wait",
    "As many requests and streams wait for the database of retraining jobs, or for the folder of "
    "training runs, as may.",
    "Send the request again later, and watch fewer jobs at once.",
    retry=True,
)
JOBS_UNAVAILABLE = ProblemType(
    "jobs-unavailable",
    503,
    "Job database not available",
    "The database of retraining jobs does not exist yet, does not answer in time, is locked or "
    "full, or refuses the service. Predictions are still answered.",
    "Check that the worker has been started once, which creates the tables, and that the service "
    "may write to the database. The log says what it reported.",
    ("DIGITSERVE_JOBS",),
    retry=True,
)
RUNS_UNREADABLE = ProblemType(
    "runs-unreadable",
    503,
    "Training runs not readable",
    "The folder of training runs does not exist, cannot be read, or does not answer in time. "
    "Predictions are still answered.",
    "Make the folder readable for the service.",
    ("DIGITSERVE_RUNS",),
    retry=True,
)

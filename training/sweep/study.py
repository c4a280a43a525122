"""The trials of a sweep, in a journal file or in Postgres, which several processes share."""

import json
import shlex
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError

from training.commands import BadSweep
from training.sweep.trial import died

PRUNERS = ("median", "hyperband", "none")
JOURNAL = "journal.log"
FIRST_BYTES = b'{"op_code":'  # of a journal
POSTGRES = "postgresql://"
FLAGS = "flags"  # the attribute of a study: what all its processes were started with
HEARTBEAT = 30  # seconds between two signs of life of a process that runs a trial in Postgres
ATTEMPTS, PAUSE = 5, 1.0  # seconds between attempts to open a database that is being set up
SILENCE = 120  # seconds without one, after which its trial is queued again


def open_study(
    name: str,
    storage: str | None,
    folder: Path,
    *,
    flags: Mapping[str, Any],
    pruner: BasePruner,
    seed: int | None,
) -> Study:
    """The study `name`, new or begun by another process with the same `flags`; BadSweep."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # what fails is raised or printed
    with failures(storage):
        study = optuna.create_study(
            storage=_storage(storage, folder),
            sampler=TPESampler(seed=seed),
            pruner=pruner,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )
        wanted = json.loads(json.dumps(flags))
        if study.user_attrs.get(FLAGS, wanted) != wanted:
            raise BadSweep(
                f"the sweep {name} was begun with other flags "
                f"({_in_words(study.user_attrs[FLAGS])}): give these, or another --name"
            )
        study.set_user_attr(FLAGS, wanted)
    return study


def pruner_of(kind: str, epochs: int, startup: int) -> BasePruner:
    """`startup` trials are not pruned by the median; `epochs` are those of each trial."""
    if kind == "median":
        return MedianPruner(n_startup_trials=startup)
    if kind == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs)
    return NopPruner()


@contextmanager
def failures(storage: str | None) -> Iterator[None]:
    """Turn errors of the storage into BadSweep, without the password."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise BadSweep(f"--storage {_shown(storage)} is not available: {reason}") from error


def _storage(storage: str | None, folder: Path) -> BaseStorage:
    if storage is None or "://" not in storage:
        path = Path(storage) if storage else folder / JOURNAL
        path.parent.mkdir(parents=True, exist_ok=True)
        if number := _incomplete_line(path):
            raise BadSweep(
                f"--storage {path}: line {number} was not written completely, as on a full disk. "
                "Delete that line, while no process of the sweep runs, and start it again"
            )
        try:
            return JournalStorage(JournalFileBackend(str(path)))
        except (ValueError, KeyError, TypeError) as error:
            raise BadSweep(f"--storage {path} is not a journal of Optuna: {error}") from error
    if not storage.startswith(POSTGRES):
        raise BadSweep(f"--storage {_shown(storage)}: write the path of a file or {POSTGRES}...")
    for _ in range(ATTEMPTS):
        with suppress(IntegrityError, ProgrammingError):
            return _postgres(storage)
        time.sleep(PAUSE)  # another process creates the tables
    return _postgres(storage)


def _incomplete_line(path: Path) -> int | None:
    """The number of the first line of a journal that cannot be read; None: there is none."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        time.sleep(PAUSE)  # another process may be writing the line
        content = path.read_bytes()
    if not content.startswith(FIRST_BYTES):
        return None
    lines = enumerate(content.splitlines(keepends=True), 1)
    return next((number for number, line in lines if not _is_complete(line)), None)


def _is_complete(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def _postgres(url: str) -> RDBStorage:
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # the heartbeat
        return RDBStorage(
            url.replace(POSTGRES, "postgresql+psycopg://", 1),
            heartbeat_interval=HEARTBEAT,
            grace_period=SILENCE,
            heartbeat_stale_trial_callback=died,
        )


def _shown(storage: str | None) -> str:
    """The storage without its password."""
    if storage is None or "://" not in storage:
        return str(storage or JOURNAL)
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "(which is no URL)"


def _in_words(flags: Mapping[str, Any]) -> str:
    return shlex.join(["--search", *flags["search"], *flags["training"]])

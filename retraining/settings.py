"""Settings of the worker. The variables are those of the service and of export."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contract.errors import StoreError
from contract.jobs import check_database
from contract.location import BadLocation, Location, location_of
from contract.settings import SecretUnreadable, secret_in
from contract.store import Store, keys_of, open_store

GB = 10**9  # bytes


class BadSettings(Exception):
    """A setting is missing or wrong; the message names it and says what to set."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    jobs: str = field(repr=False)  # URL of the database, which may hold a password
    name: str = field(default_factory=socket.gethostname)  # of this worker, the same at each start
    runs: Path = Path("runs")
    models: Location = Path("models")
    model: str = "digits"
    corrections: Path | None = None  # folder of the accepted corrections of users
    keep_runs: int = 20  # newest runs of jobs that are not pruned
    min_free: float = 1.0  # GB that must be free on the disk of `runs` before a training
    all_cores: bool = False  # else jobs leave one to the service
    max_waiting: int = 10  # jobs in the queue
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the programs

    def store(self) -> Store:
        """Raises a StoreError."""
        keys = keys_of(self.environment.get("DIGITSERVE_TRUSTED_KEYS"))
        return open_store(self.models, self.model, keys)


def from_environment() -> dict[str, object]:
    """The settings that environment variables give; BadSettings if one is missing or wrong."""
    variables = dict(os.environ)
    try:
        jobs = secret_in(variables, "DIGITSERVE_JOBS") or ""
        check_database(jobs)
    except SecretUnreadable as error:
        raise BadSettings(str(error)) from None
    except ValueError as error:
        raise BadSettings(f"DIGITSERVE_JOBS: {error}") from None
    for name in ("DIGITSERVE_JOBS", "DIGITSERVE_JOBS_FILE"):
        variables.pop(name, None)  # no program that is started needs the password
    if not variables.get("DIGITSERVE_SIGNING_KEY"):  # compose sets it to an empty string
        variables.pop("DIGITSERVE_SIGNING_KEY", None)
    feedback = variables.get("DIGITSERVE_FEEDBACK")
    if feedback and "://" in feedback:
        raise BadSettings("DIGITSERVE_FEEDBACK: corrections are kept in a folder, not at a URL")
    given: dict[str, object] = {
        "jobs": jobs,
        "runs": Path(variables.get("DIGITSERVE_RUNS") or "runs"),
        "models": _location(variables.get("DIGITSERVE_MODELS") or "models"),
        "model": variables.get("DIGITSERVE_MODEL") or "digits",
        "corrections": Path(feedback) / "accepted" if feedback else None,
        "environment": variables,
    }
    if waiting := variables.get("DIGITSERVE_MAX_JOBS"):
        if not waiting.isdecimal() or not int(waiting):
            raise BadSettings(f"DIGITSERVE_MAX_JOBS is {waiting!r}, it must be 1 or more")
        given["max_waiting"] = int(waiting)
    try:
        keys_of(variables.get("DIGITSERVE_TRUSTED_KEYS"))
    except StoreError as error:
        raise BadSettings(str(error)) from error
    return given


def _location(text: str) -> Location:
    try:
        return location_of(text)
    except BadLocation as error:
        raise BadSettings(f"DIGITSERVE_MODELS: {error}") from error

"""Retrain as a durable job: python -m retraining COMMAND

    worker             run jobs until it is stopped; a training that it runs is resumed later
    submit             enqueue a job, and print its id
    list               print a line of each job
    show ID            print all that is known of a job
    cancel ID          stop a job; a training saves its state
    resume ID          go on with a job that was cancelled or failed
    approve ID         activate the version of a job that awaits approval
    reject ID          do not
    recover WORKER     have other workers run the jobs of a machine that never comes back

DIGITSERVE_JOBS names the database. Exit codes: 0 success, 1 refused or the database cannot be used,
2 usage error.
"""

import getpass
import json
import logging
import os
import secrets
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn, get_args

from pydantic import TypeAdapter, ValidationError

from contract.command_line import program
from contract.errors import WorseVersion
from contract.job_connection import create
from contract.job_database import JobDatabase
from contract.jobs import FINAL, DatabaseUnavailable, Job, JobError, JobId, Preset, Request
from retraining.report import details, row
from retraining.settings import BadSettings, Settings, from_environment
from retraining.workflow import NameTaken, Worker

PAUSE = 1.0  # seconds between two looks at a job that is followed
PATIENCE = 60.0  # seconds without the database, after which a job is followed no longer
POLICIES = get_args(Request.model_fields["activate"].annotation)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        if options.command == "worker":
            logging.basicConfig(
                level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr
            )
            _leave(Worker(settings).run())
        if options.command == "submit":
            create(settings.jobs)
        with closing(JobDatabase(settings.jobs, settings.model)) as database:
            return _act(options, database, settings)
    except BadSettings as error:
        print(f"retraining: {error}", file=sys.stderr)
        return 2
    except DatabaseUnavailable as error:
        print(f"retraining: the database of jobs cannot be used: {error}", file=sys.stderr)
        return 1
    except WorseVersion as error:
        print(f"retraining: {error} --force approves it all the same", file=sys.stderr)
        return 1
    except (JobError, NameTaken, OSError) as error:
        print(f"retraining: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _leave(code: int) -> NoReturn:
    """End the process, also if a thread of DBOS waits for a database that is gone."""
    logging.shutdown()
    os._exit(code)


def _act(options: Namespace, database: JobDatabase, settings: Settings) -> int:
    match options.command:
        case "submit":
            request, most = _request(options), settings.max_waiting
            job, _ = database.submit(options.id or _new_id(), request, most)
            if options.follow:
                return _follow(job, database)
        case "list":
            return _list(options, database)
        case "recover":
            ids = database.recover(options.worker)
            print("\n".join(ids) or f"{options.worker} runs no job")
            return 0
        case "show":
            job = database.job(options.id)
            if not options.json:
                print(details(job, settings.runs))
                return 0
        case "cancel":
            job = database.cancel(options.id)
        case "resume":
            job = database.resume(options.id)
        case "approve":
            job = database.decide(options.id, "approve", _person(), force=options.force)
        case _:
            job = database.decide(options.id, "reject", _person())
    print(job.model_dump_json(indent=2) if options.json else row(job))
    return 0


def _list(options: Namespace, database: JobDatabase) -> int:
    listed = database.jobs(options.limit)
    if options.json:
        print(json.dumps([job.model_dump(mode="json") for job in listed.jobs], indent=2))
    else:
        print("\n".join(row(job) for job in listed.jobs) or "there are no jobs")
    if listed.unreadable:
        print(
            f"retraining: jobs that another version of the worker wrote, and that are not shown: "
            f"{listed.unreadable}",
            file=sys.stderr,
        )
    return 0


def _person() -> str:
    """Who approves or rejects."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no entry in /etc/passwd
        name = f"user {os.getuid()}"
    return f"{name} at a terminal"


def _follow(job: Job, database: JobDatabase) -> int:
    """Print each change until the job ends or awaits approval; 0 if it did not fail.

    A database that is locked or restarts for less than PATIENCE is waited for.
    """
    printed, read = "", time.monotonic()
    while True:
        if row(job) != printed:
            printed = row(job)
            print(printed, flush=True)
        if job.state in FINAL or job.state == "awaiting_approval":
            return int(job.state in ("failed", "cancelled"))
        time.sleep(PAUSE)
        try:
            job, read = database.job(job.id), time.monotonic()
        except DatabaseUnavailable:
            if time.monotonic() - read > PATIENCE:
                raise


def _request(options: Namespace) -> Request:
    try:
        return Request(
            preset=options.preset,
            recipe=dict(options.set),
            data=options.data,
            corrections=options.corrections,
            activate=options.activate,
        )
    except ValidationError as error:
        raise BadSettings(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _settings(options: Namespace) -> Settings:
    given = from_environment()
    for name in ("name", "runs", "keep_runs", "min_free", "all_cores"):
        if (value := getattr(options, name, None)) is not None:
            given[name] = value
    return Settings(**given)  # type: ignore[arg-type]


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


# ---- the command line ---------------------------------------------------------------------------


def _parser() -> ArgumentParser:
    parser = program("retraining", __doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    worker = commands.add_parser("worker", help="run jobs")
    worker.add_argument(
        "--name", metavar="NAME", help="the same at each start; default: that of the host"
    )
    worker.add_argument("--runs", type=Path, metavar="DIR", help="default: runs")
    worker.add_argument(
        "--keep-runs", type=_count, metavar="N", help="newest runs of jobs to keep; default: 20"
    )
    worker.add_argument(
        "--min-free", type=float, metavar="GB", help="free disk that a training needs; default: 1"
    )
    worker.add_argument(
        "--all-cores", action="store_true", help="do not leave one to a service on this machine"
    )
    submit = commands.add_parser("submit", help="enqueue a job")
    _add_request(submit)
    listing = commands.add_parser("list", help="print jobs, newest first")
    listing.add_argument("--limit", type=_count, metavar="N", default=50, help="default: 50")
    for name, meaning in (
        ("show", "print all that is known of a job"),
        ("cancel", "stop a job"),
        ("resume", "go on with a job that was cancelled or failed"),
        ("approve", "activate the version of a job that awaits approval"),
        ("reject", "leave the version of a job that awaits approval as it is"),
    ):
        commands.add_parser(name, help=meaning).add_argument("id", type=_job_id, metavar="ID")
    commands.choices["approve"].add_argument(
        "--force", action="store_true", help="even if its verdict is worse"
    )
    recover = commands.add_parser("recover", help="have other workers run the jobs of one")
    recover.add_argument("worker", metavar="WORKER", help="name of the one that never comes back")
    for name in ("submit", "list", "show", "cancel", "resume", "approve", "reject"):
        commands.choices[name].add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_request(parser: ArgumentParser) -> None:
    defaults = Request.model_validate({})
    parser.add_argument("--preset", choices=get_args(Preset), default=defaults.preset)
    parser.add_argument(
        "--set",
        type=_option,
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="an option of the recipe, as in --set epochs=5; may be given several times",
    )
    parser.add_argument("--data", metavar="SET or DIR", help="default: that of the current version")
    parser.add_argument(
        "--no-corrections",
        dest="corrections",
        action="store_false",
        help="do not train on the corrections of users",
    )
    parser.add_argument(
        "--activate", choices=POLICIES, default=defaults.activate, help="default: ask"
    )
    parser.add_argument("--id", type=_job_id, metavar="ID", help="default: the time and a number")
    parser.add_argument("--follow", action="store_true", help="print its states until it ends")


def _option(word: str) -> tuple[str, int | float | str | bool]:
    name, equals, text = word.partition("=")
    if not equals or not name.isidentifier():
        raise ArgumentTypeError(f"{word!r} is not OPTION=VALUE, such as epochs=5")
    try:
        value = json.loads(text)
    except ValueError:
        return name, text
    return name, value if isinstance(value, int | float | str) else text


def _job_id(word: str) -> str:
    try:
        return TypeAdapter(JobId).validate_python(word)
    except ValidationError as error:
        raise ArgumentTypeError(
            f"{word!r} is not the id of a job: letters, digits, '_' and '-', at most 64"
        ) from error


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise ArgumentTypeError(f"{word!r} must be 1 or more")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())

"""The connection to the database of jobs: SQLite or Postgres.

    engine_of     connections for DBOS
    create        the tables
    name_held     the lock of a worker's name
    failures      turns errors of DBOS, as the worker uses it, into DatabaseUnavailable

The database may be locked, full, gone or not yet set up: each call then raises DatabaseUnavailable
within seconds, where DBOS by itself would retry for ever.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import quote

import sqlalchemy
from dbos import DBOS, error
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from contract.jobs import DatabaseUnavailable, NoDatabase

BUSY = 2.0  # seconds that a statement waits for a lock, and a connection for its server
STATEMENT = 4000  # milliseconds that a statement in Postgres may take
# Of Postgres: it notices within half a minute that a client's host is gone, and frees its locks.
KEEPALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
ADVISORY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"  # of the session


def engine_of(text: str) -> sqlalchemy.Engine:
    """Connects when it is used. Every failure of its database is raised as DatabaseUnavailable."""
    url = make_url(text)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgres(url)

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def report(context: ExceptionContext) -> None:
        # A row that exists already is no failure; after a failed ping the pool reconnects.
        exists = isinstance(context.sqlalchemy_exception, IntegrityError | None)
        if not exists and not context.is_pre_ping:
            raise _unavailable(url, context.original_exception) from None

    return engine


def create(url: str) -> None:
    """Create the tables that are missing, and the folder of a SQLite file.

    Raises DatabaseUnavailable, or OSError.
    """
    if path := file_of(url):
        path.parent.mkdir(parents=True, exist_ok=True)
    with failures(url):
        DBOS.migrate(url)


@contextmanager
def failures(url: str) -> Iterator[None]:
    """Raises what fails in the database as DatabaseUnavailable."""
    try:
        yield
    except (SQLAlchemyError, error.DBOSException) as failure:
        raise _unavailable(make_url(url), failure) from failure


def file_of(url: str) -> Path | None:
    """That of SQLite; None: the database is not a file."""
    return Path(make_url(url).database or "") if url.startswith("sqlite:") else None


def shown(url: str) -> str:
    """The URL without its password."""
    return make_url(url).render_as_string(hide_password=True)


def short(failure: BaseException) -> str:
    """The first line of the driver's message: statements and parameters follow it."""
    message = str(getattr(failure, "orig", None) or failure).strip()
    return message.splitlines()[0] if message else type(failure).__name__


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@contextmanager
def name_held(url: str, name: str) -> Iterator[bool]:
    """Lock the name of a worker, over all hosts of the database; yields whether that succeeded.

    The lock ends with the process, or if Postgres restarts; if the host fails, once Postgres misses
    its keepalives. Raises DatabaseUnavailable, or OSError.
    """
    if path := file_of(url):
        with (path.parent / f".worker-{quote(name, safe='')}.lock").open("a") as lock:
            yield _flock(lock)
        return
    engine = engine_of(url).execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            words = {"name": f"digitserve worker {name}"}
            yield bool(connection.scalar(sqlalchemy.text(ADVISORY_LOCK), words))
    finally:
        engine.dispose()


def _flock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unavailable(url: URL, failure: BaseException) -> DatabaseUnavailable:
    # DBOS retries an error of any type for ever if it says "database is locked".
    reason = short(failure).replace("database is locked", "another program holds its lock")
    if url.password:
        reason = reason.replace(str(url.password), "***")
    place = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        reason = "there is no such file: a worker and `python -m retraining submit` create it"
        return NoDatabase(f"{place}: {reason}")
    return DatabaseUnavailable(f"{place}: {reason}")


def _sqlite(url: URL) -> sqlalchemy.Engine:
    path = Path(url.database or "").absolute()

    def connect() -> sqlite3.Connection:
        # Not created here: without its tables it would be of no use. IMMEDIATE: writers queue.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY,
            isolation_level="IMMEDIATE",
            check_same_thread=False,
        )
        connection.execute("PRAGMA foreign_keys = ON")  # DBOS relies on them to delete a workflow
        return connection

    engine = sqlalchemy.create_engine(
        "sqlite://", creator=connect, poolclass=sqlalchemy.QueuePool, pool_size=2, max_overflow=0
    )

    @sqlalchemy.event.listens_for(engine, "checkout")
    def check_file(_: object, record: ConnectionPoolEntry, __: object) -> None:
        """Open the file again if it was removed or replaced."""
        try:
            found = path.stat()
        except OSError:
            raise DisconnectionError from None
        if record.info.setdefault("file", (found.st_dev, found.st_ino)) != (
            found.st_dev,
            found.st_ino,
        ):
            raise DisconnectionError

    return engine


def _postgres(url: URL) -> sqlalchemy.Engine:
    settings = {"statement_timeout": STATEMENT, "lock_timeout": round(BUSY * 1000), **KEEPALIVE}
    return sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=2,
        max_overflow=0,
        pool_timeout=BUSY,
        pool_pre_ping=True,
        connect_args={
            "application_name": "digitserve",
            "connect_timeout": round(BUSY),
            "tcp_user_timeout": STATEMENT,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )

"""What the live view knows of all replicas: the addresses of DIGITSERVE_PEERS, and their answers.

    DIGITSERVE_PEERS --getaddrinfo, each 5 s--> addresses --GET /v1/live/snapshot, each 1 s-->
    ReplicaReport --> History of each address --> sums, and a ReplicaSummary of each

Only while a client watches, and only what those names resolve to. This replica is requested like
the others, by whichever worker is connected. An answer is limited in time and size and validated;
redirects are not followed. A replica that does not answer stays in the list, with the reason, and
is left out of the sums. A request costs 0.2 ms of the event loop, of 64 replicas 1.3 %.
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, Field, ValidationError

from service.api.live.summary import History, Load, Period, Snapshot, load_of
from service.settings import ReplicaName, Settings

PATH = "/v1/live/snapshot"
EVERY = 1.0  # seconds between two requests to a replica
RESOLVE_EVERY = 5.0  # seconds
TIMEOUT = 2.0  # seconds, of a request and of looking up a name
MOST_REPLICAS = 64
MOST_BYTES = 16 * 2**10  # of an answer; it has about one KiB
RATES, QUANTILES = 2, 10  # requests that rates, and quantiles and batches, look back

Address = tuple[str, int]  # of IPv4 or IPv6, and port
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class ReplicaReport(BaseModel):
    """The answer of one replica; with several workers, of all of them."""

    replica: ReplicaName
    version: _Word = Field(description="of the served model")
    provider: _Word
    workers: int = Field(ge=0, le=1024, description="processes that serve")
    draining: bool
    snapshot: Snapshot = Field(description="counts since its start, and present levels")


class ReplicaSummary(BaseModel):
    """One replica, as another one knows it."""

    address: str | None = Field(description="null: DIGITSERVE_PEERS does not resolve to it")
    replica: str | None = Field(default=None, description="its name; null: it has not answered yet")
    version: str | None = None
    provider: str | None = None
    workers: int = 0
    draining: bool = False
    answered: float | None = Field(
        default=None, description="seconds since 1970, of its last answer"
    )
    problem: str | None = Field(default=None, description="why it is not in the sums; null: it is")
    load: Load | None = Field(default=None, description="null: it is not in the sums")


class Replica:
    """What is known of the replica at one address."""

    def __init__(self, address: Address) -> None:
        host, port = address
        self.address = address
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.summary = ReplicaSummary(address=self.name, problem="it has not answered yet")
        self._history = History(rates=RATES, quantiles=QUANTILES)

    @property
    def period(self) -> Period | None:
        """None if it is not in the sums."""
        return None if self.summary.problem else self._history.period

    def answered(self, report: ReplicaReport) -> None:
        if report.replica != self.summary.replica:
            self._history.clear()  # another replica may have taken over the address
        self._history.add(report.snapshot)
        self.summary = summary_of(report, self._history, self.name)

    def failed(self, problem: str) -> None:
        self.summary = self.summary.model_copy(update={"problem": problem, "load": None})


def summary_of(report: ReplicaReport, history: History, address: str | None) -> ReplicaSummary:
    return ReplicaSummary(
        address=address,
        answered=round(time.time(), 3),
        load=load_of([history.period]),
        **report.model_dump(exclude={"snapshot"}),
    )


class Replicas:
    def __init__(self, settings: Settings) -> None:
        self._peers = settings.peers
        keys = settings.api_keys
        key = f"authorization: Bearer {keys[0].get_secret_value()}\r\n" if keys else ""
        self._head = f"GET {PATH} HTTP/1.0\r\nhost: {{host}}\r\n{key}\r\n"
        self._replicas: dict[Address, Replica] = {}
        self._tasks: dict[Address, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None  # with the names; None: none

    def __bool__(self) -> bool:
        return bool(self._peers)

    def start(self) -> None:
        if self._peers:
            self._task = asyncio.create_task(self._follow(), name="follow the replicas")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def known(self) -> list[Replica]:
        return [self._replicas[address] for address in sorted(self._replicas)]

    async def _follow(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    self._update(await self._resolve(), tasks)
                    await asyncio.sleep(RESOLVE_EVERY)
        finally:
            self._replicas.clear()
            self._tasks.clear()

    def _update(self, addresses: Iterable[Address], tasks: asyncio.TaskGroup) -> None:
        for gone in self._replicas.keys() - addresses:
            self._tasks.pop(gone).cancel()
            del self._replicas[gone]
        for address in addresses:
            if address not in self._replicas:
                replica = self._replicas[address] = Replica(address)
                self._tasks[address] = tasks.create_task(self._follow_one(replica))

    async def _resolve(self) -> set[Address]:
        """Those of the names, at most MOST_REPLICAS; those of before where that fails."""
        found: set[Address] = set()
        self.problem = None
        loop = asyncio.get_running_loop()
        for peer in self._peers:
            host, _, port = peer.rpartition(":")
            try:
                async with asyncio.timeout(TIMEOUT):
                    infos = await loop.getaddrinfo(
                        host.strip("[]"), int(port), type=socket.SOCK_STREAM
                    )
            except (OSError, TimeoutError, UnicodeError):
                self.problem = f"{host} (DIGITSERVE_PEERS) cannot be resolved"
                return {*self._replicas}
            found |= {(str(info[4][0]), int(port)) for info in infos}
        if len(found) > MOST_REPLICAS:
            self.problem = f"{MOST_REPLICAS} of {len(found)} replicas are shown"
        return {*sorted(found)[:MOST_REPLICAS]}

    async def _follow_one(self, replica: Replica) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                replica.answered(await self._report_of(replica))
            except TimeoutError:
                replica.failed(f"it does not answer within {TIMEOUT:g} s")
            except OSError:
                replica.failed("it cannot be reached")
            except Unusable as error:
                replica.failed(str(error))
            await asyncio.sleep(max(0.0, began + EVERY - loop.time()))

    async def _report_of(self, replica: Replica) -> ReplicaReport:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(*replica.address)
            try:
                writer.write(self._head.format(host=replica.name).encode())
                await reader.readexactly(MOST_BYTES + 1)
            except asyncio.IncompleteReadError as end:  # of the connection: the answer is complete
                return _report_in(end.partial)
            finally:
                writer.close()
        raise Unusable("its answer is too long")


class Unusable(Exception):
    """The answer is no report; the message says why."""

    @classmethod
    def because_of(cls, status: bytes) -> Self:
        if status == b"401":
            return cls("it refuses the API key: all replicas need the first of DIGITSERVE_API_KEYS")
        return cls(f"it answers {status.decode()}" if status.isdigit() else "it answers no HTTP")


def _report_in(answer: bytes) -> ReplicaReport:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head[len("HTTP/1.1 ") :][:3]
    if status != b"200":
        raise Unusable.because_of(status)
    try:
        return ReplicaReport.model_validate_json(body)
    except ValidationError:
        raise Unusable("its numbers are not of this release") from None

"""The state of the service from start to drain, and the end of its process.

Life             written by `server`, read by probes, the gateway and streams
DaemonExecutor   a thread for work that may hang: the end of the process does not wait for it
leave            ends the process, also where other threads hang
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, NoReturn, ParamSpec, TypeVar


@dataclass
class Life:
    began: float = field(default_factory=time.monotonic)  # seconds; the wall clock may be set
    draining: bool = False  # stopping, still answering
    # Called when that begins, from a signal handler: maybe in the middle of anything.
    when_draining: list[Callable[[], None]] = field(default_factory=list)

    def drain(self) -> None:
        self.draining = True
        for callback in self.when_draining:
            callback()


P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(Executor):
    """Runs calls one after another on a daemon thread, which begins with the first.

    Python joins the threads of its own executors at exit, however long their work takes.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._starting = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread after the calls that were submitted, or without those that wait."""
        while cancel_futures and not self._calls.empty():
            if (call := self._calls.get()) is not None:
                call[0].cancel()
        self._calls.put(None)
        if wait:
            self.join()

    def join(self, seconds: float | None = None) -> None:
        """After `shutdown`: wait for the end of the thread, at most so long."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)
            del call, future, work  # or they would stay in memory until the next call


PATIENCE = 1.0  # seconds

log = logging.getLogger("service")


def leave(code: int) -> NoReturn:
    """Exit; after PATIENCE also without the threads that have not ended by then.

    Python itself waits for them for ever: for one that reads from a file system that does not
    answer, for instance.
    """
    threading.Thread(target=_leave_without, args=(code,), daemon=True).start()
    sys.exit(code)


def _leave_without(code: int) -> None:
    time.sleep(PATIENCE)
    hanging = [
        thread.name
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    if hanging:
        log.warning("the end does not wait for threads that hang: %s", ", ".join(hanging))
        logging.shutdown()
        os._exit(code)

"""The end of a process, which waits for no thread that hangs."""

import logging
import os
import sys
import threading
import time
from typing import NoReturn

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

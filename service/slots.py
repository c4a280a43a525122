"""All slots of a service: what their workers are told, and who listens to which socket.

Each worker listens to its own slot's socket. To one whose worker is not there, all others listen.
"""

import socket
import time

from service.channel import Told
from service.slot import Slot
from service.streams import STREAMS


class Slots:
    def __init__(self, slots: list[Slot]) -> None:
        self.all = slots
        self.restarts = 0  # since the service began

    def tell_all(self, *, but: Slot | None = None, **more: object) -> None:
        """Who serves what, and `more` of what can be `Told`."""
        for slot in self.all:
            if slot is not but:
                self._tell(slot, **more)

    def listens(self, slot: Slot) -> None:
        """A worker is ready: it takes its socket, and those that nobody listens to."""
        slot.listens = True
        for other in self.all:
            if other is slot or not other.listens:
                self._tell(slot, other.listener, listen=[other.number])
            else:
                self._tell(other, release=[slot.number])

    def others_listen(self, slot: Slot) -> None:
        """A worker goes, or is gone: the others take its socket."""
        if slot.listens:
            slot.listens = False
            for other in self.all:
                if other.listens:
                    self._tell(other, slot.listener, listen=[slot.number])

    def have_look(self, slot: Slot) -> None:
        """A worker that does not listen yet looks at what the store says is current, once."""
        if slot.looks_since is None:
            slot.looks_since = time.monotonic()
            self._tell(slot, look=True)

    def close(self) -> None:
        """Leave the sockets to the workers: held here, the kernel would go on filling them."""
        for slot in self.all:
            slot.listener.close()

    def kill(self) -> None:
        for slot in self.all:
            slot.kill()

    def _tell(self, slot: Slot, *listeners: socket.socket, **more: object) -> None:
        rows = [each.row for each in self.all if each.row.pid]
        told = Told.model_validate(
            {"rows": rows, "restarts": self.restarts, "native": STREAMS.counts, **more}
        )
        slot.tell(told, *listeners)

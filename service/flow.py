"""uvicorn's flow control of a connection, with more reasons not to read from it.

uvicorn resumes reading whenever an application awaits a body or a response is complete.
"""

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    has_requests = False  # that were received and have not begun
    rests = False  # after a refusal: see `rest`

    def resume_reading(self) -> None:
        """Unless there is a reason left not to; a client that takes no answers is one."""
        if not (self.has_requests or self.rests or self.write_paused):
            super().resume_reading()

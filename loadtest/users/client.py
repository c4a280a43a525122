"""A user: sends one of its requests, looks at the answer, thinks, sends another one.

503 with Retry-After is a service that defends itself: it is counted by a name of its own, and the
user comes back when it was told to. Every other answer than the one that must come is a failure.
Sends API_KEY where that is set.
"""

import os
import random
from typing import ClassVar

import gevent
from locust import FastHttpUser, task
from locust.exception import StopUser

from loadtest.users.answers import said
from loadtest.users.rehearsal import CannotBegin, Rehearsal, sent

KEY = os.environ.get("API_KEY")
CANNOT_BEGIN = "cannot begin"  # a message to whoever runs the test, with the reason
REFUSED = ", refused"  # after the name of what was
UNAVAILABLE = 503


class Client(FastHttpUser):
    abstract = True
    kind: ClassVar[str]
    rehearsal: ClassVar[Rehearsal]  # of the test that runs
    default_headers = {"X-API-Key": KEY} if KEY else {}

    def on_start(self) -> None:
        try:
            self.requests = self.rehearsal.requests(self.client, self.kind)
        except CannotBegin as error:
            self.environment.runner.send_message(CANNOT_BEGIN, str(error))
            raise StopUser from error

    def wait_time(self) -> float:
        return random.uniform(*self.rehearsal.settings.think)  # noqa: S311

    @task
    def ask(self) -> None:
        pause = 0.0
        request = random.choice(self.requests)  # noqa: S311
        with sent(self.client, request) as answer:
            status = answer.status_code
            if status == request.status:
                complaint = request.check and request.check(answer.content, answer.headers)
                if complaint:
                    answer.failure(complaint)
                else:
                    answer.success()
            elif status == UNAVAILABLE and "Retry-After" in answer.headers:
                answer.request_meta["name"] += REFUSED
                pause = float(answer.headers["Retry-After"])
                answer.success()
            elif status:  # without one, locust knows what happened to the connection
                answer.failure(f"{status}, not {request.status}: {said(answer.content or b'')}")
        gevent.sleep(pause)

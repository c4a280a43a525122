"""The users, and how many of each kind: a user sends a request, checks the answer, and waits.

503 with Retry-After is not a failure: it is counted by a name of its own, and the user sends the
next request after that time. Any other answer than the expected one is a failure. The users send
API_KEY where that is set.
"""

import os
import random
from typing import ClassVar

import gevent
from locust import FastHttpUser, task

from loadtest.users.checks import reason_of
from loadtest.users.rehearsal import Rehearsal, refused, sent
from loadtest.users.settings import WEIGHTS

KEY = os.environ.get("API_KEY")


class Client(FastHttpUser):
    abstract = True
    kind: ClassVar[str]
    rehearsal: ClassVar[Rehearsal]  # of the test that runs
    default_headers = {"X-API-Key": KEY} if KEY else {}

    def __init_subclass__(cls) -> None:
        cls.weight = WEIGHTS[cls.kind]

    def on_start(self) -> None:
        self.client.client.cookiejar = None  # cookies take 7 % of the time of a request
        self.requests = self.rehearsal.requests(self.client, self.kind)

    def wait_time(self) -> float:
        return random.uniform(*self.rehearsal.settings.think)  # noqa: S311

    @task
    def send(self) -> None:
        pause = None
        request = random.choice(self.requests)  # noqa: S311
        with sent(self.client, request) as answer:
            status = answer.status_code
            if status == request.status:
                complaint = request.check and request.check(answer.content, answer.headers)
                if complaint:
                    answer.failure(complaint)
                else:
                    answer.success()
            elif status:  # without one, locust counts the error of the connection
                pause = refused(answer)
                if pause is None:
                    wrong = f"{status}, not {request.status}: {reason_of(answer.content or b'')}"
                    answer.failure(wrong)
        if pause:
            gevent.sleep(pause)


KINDS: tuple[type[Client], ...] = tuple(
    type(kind.title(), (Client,), {"kind": kind}) for kind in WEIGHTS
)

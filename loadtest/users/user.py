"""The users, and how many of each kind: a user sends a request, checks the answer, and thinks.

503 with Retry-After is a service that defends itself: it is counted by a name of its own, and the
user comes back after that time. Every other answer than the one that must come is a failure.
Sends API_KEY where that is set.
"""

import os
import random
from typing import ClassVar

import gevent
from locust import FastHttpUser, task

from loadtest.users.checks import said
from loadtest.users.rehearsal import Rehearsal, refused, sent
from loadtest.users.settings import WEIGHTS

KEY = os.environ.get("API_KEY")


class Client(FastHttpUser):
    abstract = True
    kind: ClassVar[str]
    rehearsal: ClassVar[Rehearsal]  # of the test that runs
    default_headers = {"X-API-Key": KEY} if KEY else {}

    def on_start(self) -> None:
        self.client.client.cookiejar = (
            None  # to look for cookies takes 7 % of all that is done here
        )
        self.requests = self.rehearsal.requests(self.client, self.kind)

    def wait_time(self) -> float:
        return random.uniform(*self.rehearsal.settings.think)  # noqa: S311

    @task
    def ask(self) -> None:
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
            elif status:  # without one, locust knows what happened to the connection
                pause = refused(answer)
                if pause is None:
                    wrong = f"{status}, not {request.status}: {said(answer.content or b'')}"
                    answer.failure(wrong)
        if pause:
            gevent.sleep(pause)


class Png(Client):
    kind = "png"
    weight = WEIGHTS[kind]


class Jpeg(Client):
    kind = "jpeg"
    weight = WEIGHTS[kind]


class Form(Client):
    kind = "form"
    weight = WEIGHTS[kind]


class Json(Client):
    kind = "json"
    weight = WEIGHTS[kind]


class Binary(Client):
    kind = "binary"
    weight = WEIGHTS[kind]


class Wrong(Client):
    kind = "wrong"
    weight = WEIGHTS[kind]


KINDS: tuple[type[Client], ...] = (Png, Jpeg, Form, Json, Binary, Wrong)

"""Before the load, test images are fetched, and a request of each kind for each is sent once.

Once in a process, for all its users, by the first of them; the others wait. What the model misreads
then is left out, so that later mistakes are due to the load. None of this is in the statistics,
except failed attempts: a service that is not ready yet is waited for.
"""

import logging
import time
from collections.abc import Callable, Set
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from locust.contrib.fasthttp import FastHttpSession

from loadtest.users.checks import REFUSED, reason_of
from loadtest.users.requests import MAKERS, SAMPLES, Request, Sample, pngs, wrong_requests
from loadtest.users.settings import Settings

MOST = 50  # samples
SAMPLED = 150  # requests for samples, at most: of a sheet of 100, some 70 random ones are 50 images
AT_ONCE = 8  # requests: few, to be no load; more than one, as the service may be far away
AGAIN = 1.0  # seconds until a user without an answer tries again
WRONG = "wrong"
UNAVAILABLE = 503

Answer = Any  # locust's ResponseContextManager, whose types are half there

log = logging.getLogger(__name__)


class CannotBegin(Exception):
    """There is nothing to send, or no service that answers; the message names the reason."""


class Rehearsal:
    def __init__(
        self, settings: Settings, kinds: Set[str], give_up: Callable[[str], object]
    ) -> None:
        """`give_up` stops the test; it is called once, with the reason, if nothing can be sent."""
        self.settings = settings
        self._kinds = kinds  # that are expected; another one is rehearsed when it comes
        self._give_up = give_up
        self._one_at_a_time = BoundedSemaphore()
        self._fetched = 0
        self._samples: list[Sample] = []  # of them, that are classified correctly
        self._requests: dict[str, list[Request]] = {}
        self._left_out: dict[str, int] = {}
        self._given_up = False

    def requests(self, session: FastHttpSession, kind: str) -> list[Request]:
        """Of a kind, that are answered right; never returns if there are none."""
        with self._one_at_a_time:
            if not self._given_up and kind not in self._requests:
                try:
                    self._rehearse(session, {kind} | self._kinds)
                except CannotBegin as error:
                    self._given_up = True
                    self._give_up(str(error))
            if self._given_up:
                Event().wait()  # until the test is stopped
        return self._requests[kind]

    def _rehearse(self, session: FastHttpSession, kinds: Set[str]) -> None:
        model = self.settings.model
        if not self._samples:  # requests are made of those that are classified correctly
            samples = self._found(session)
            self._fetched = len(samples)
            for at, answer in self._keep(session, "png", pngs(samples, model)).items():
                column = answer.json()["predictions"][0]["index"]
                self._samples.append(samples[at]._replace(column=column))
        for kind in sorted(kinds - self._requests.keys() - {WRONG}):
            self._keep(session, kind, MAKERS[kind](self._samples, model))
        self._requests[WRONG] = wrong_requests(self._samples, model)
        left_out = ", ".join(f"{number} {kind}" for kind, number in self._left_out.items())
        log.info("%d images; misread without load, and so left out: %s", self._fetched, left_out)

    def _found(self, session: FastHttpSession) -> list[Sample]:
        request = Request(SAMPLES, SAMPLES, {"Accept": "application/json"}, b"", method="GET")
        # Alone: it may have to wait for the service.
        first = _sample(self._answer(session, request))
        found = {first.number: first}
        for _ in range(0, SAMPLED, AT_ONCE):
            samples = map(_sample, self._answers(session, [request] * AT_ONCE))
            found |= {sample.number: sample for sample in samples}
            if len(found) >= MOST:
                break
        return list(found.values())[:MOST]

    def _keep(
        self, session: FastHttpSession, kind: str, requests: list[Request]
    ) -> dict[int, Answer]:
        """Keep those that are answered right; the right answers, by their place in `requests`."""
        answers = self._answers(session, requests)
        complaints = list(map(_complaint, requests, answers))
        right = [at for at, complaint in enumerate(complaints) if not complaint]
        if not right:
            raise CannotBegin(
                f"no request of the kind {kind} is classified correctly without load; the first: "
                f"{complaints[0]}"
            )
        self._requests[kind] = [requests[at] for at in right]
        self._left_out[kind] = len(requests) - len(right)
        return {at: answers[at] for at in right}

    def _answers(self, session: FastHttpSession, requests: list[Request]) -> list[Answer]:
        answers: list[Answer] = Pool(AT_ONCE).map(partial(self._answer, session), requests)
        return answers

    def _answer(self, session: FastHttpSession, request: Request) -> Answer:
        """With status 200; CannotBegin if the request is refused or the patience is over."""
        end = time.monotonic() + self.settings.patience
        waiting = False
        while True:
            answer = sent(session, request)
            if answer.status_code == 200:
                return answer
            why = _failed(answer)
            if 400 <= answer.status_code < 500:
                raise CannotBegin(f"{request.path} answered {why}")
            if time.monotonic() > end:
                raise CannotBegin(f"{request.path}: {why}, for {self.settings.patience:g} s")
            if not waiting:
                log.warning("%s: %s; it is waited for", request.path, why)
                waiting = True
            gevent.sleep(AGAIN)


def _failed(answer: Answer) -> str:
    """Count the failed attempt, and return what was wrong."""
    if answer.status_code == 0:
        with answer:  # locust counts the error of the connection
            return f"no answer ({answer.error})"
    why = f"{answer.status_code}: {reason_of(answer.content or b'')}"
    if answer.status_code in (401, 403):
        why += " (API_KEY in the environment is what is sent)"
    with answer:
        if refused(answer) is None:  # other processes may be under load already
            answer.failure(why)
    return why


def _sample(answer: Answer) -> Sample:
    try:
        return Sample.parse(answer.content)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotBegin(f"{SAMPLES} answers no image with its label: {error!r}") from error


def _complaint(request: Request, answer: Answer) -> str:
    return request.check(answer.content, answer.headers) if request.check else ""


def sent(session: FastHttpSession, request: Request) -> Answer:
    """The answer, which is in the statistics only once it is used in a with block."""
    return session.request(
        request.method,
        request.path,
        name=request.name,
        data=request.body,  # type: ignore[arg-type]  # it takes bytes
        headers=request.headers,
        catch_response=True,
    )


def refused(answer: Answer) -> float | None:
    """Seconds of Retry-After in a 503, which is then not a failure; None for any other answer."""
    if answer.status_code != UNAVAILABLE:
        return None
    try:
        seconds = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    answer.request_meta["name"] += REFUSED
    answer.success()
    return seconds

"""Before the load: digits are fetched, requests are made of them, each is sent once at rest.

Once in a process, for all its users, by the first of them; the others wait. What the model misreads
at rest is left out, so that what goes wrong later does because of the load. None of this is in the
statistics, but each try that failed: a service that is not there yet is waited for.
"""

import logging
import time
from collections.abc import Set
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from locust.contrib.fasthttp import FastHttpSession

from loadtest.users.answers import said
from loadtest.users.bodies import MAKERS, pngs
from loadtest.users.digit import SAMPLES, Digit
from loadtest.users.request import Request
from loadtest.users.settings import Settings
from loadtest.users.wrong import wrong_requests

DIGITS = 50
ASKED_FOR = 150  # samples, at most: they come by chance, a sheet of 100 gives 50 after some 70
AT_ONCE = 8  # requests: few, for the service to be at rest; not one, for it may be far away
AGAIN = 1.0  # seconds until who got no answer asks again
WRONG = "wrong"

Item = TypeVar("Item")
Answer = Any  # locust's ResponseContextManager, whose types are half there
log = logging.getLogger(__name__)


class CannotBegin(Exception):
    """There is nothing to ask, or nobody who answers; the message says what to do."""


class Rehearsal:
    def __init__(self, settings: Settings, kinds: Set[str]) -> None:
        self.settings = settings
        self._kinds = kinds  # that are expected; another one is rehearsed when it comes
        self._one_at_a_time = BoundedSemaphore()
        self._digits: list[Digit] = []
        self._requests: dict[str, list[Request]] = {}
        self._hopeless: CannotBegin | None = None

    def requests(self, session: FastHttpSession, kind: str) -> list[Request]:
        """Of a kind, that are answered right; CannotBegin if there are none."""
        with self._one_at_a_time:
            if self._hopeless:
                raise self._hopeless
            if kind not in self._requests:
                try:
                    self._rehearse(session, {kind} | self._kinds)
                except CannotBegin as error:
                    self._hopeless = error
                    raise
        return self._requests[kind]

    def _rehearse(self, session: FastHttpSession, kinds: Set[str]) -> None:
        if not self._digits:
            found = self._found(session)
            self._digits = self._read_right(session, found)
        for kind in sorted(kinds - self._requests.keys()):
            self._requests[kind] = self._answered_right(session, kind)
        right = ", ".join(
            f"{kind} {len(requests)}" for kind, requests in self._requests.items() if kind != WRONG
        )
        log.info("Read right at rest, and so asked under load: %s; the rest is left out", right)

    def _found(self, session: FastHttpSession) -> list[Digit]:
        request = Request(SAMPLES, SAMPLES, {"Accept": "application/json"}, b"", method="GET")
        first = _told(self._answer(session, request))  # alone: it may have to wait for the service
        found = {first.number: first}
        for _ in range(0, ASKED_FOR, AT_ONCE):
            digits = map(_told, self._answers(session, [request] * AT_ONCE))
            found |= {digit.number: digit for digit in digits}
            if len(found) >= DIGITS:
                break
        return list(found.values())[:DIGITS]

    def _read_right(self, session: FastHttpSession, digits: list[Digit]) -> list[Digit]:
        """Those that are, as they came, with their column."""
        requests = pngs(digits, self.settings.model)
        answers = self._answers(session, requests)
        right = [
            digit._replace(column=answer.json()["predictions"][0]["digit"])
            for digit, request, answer in zip(digits, requests, answers, strict=True)
            if not _complaint(request, answer)
        ]
        log.info("%d digits fetched; %d are misread at rest", len(digits), len(digits) - len(right))
        return self._some(right, "digits", _complaint(requests[0], answers[0]))

    def _answered_right(self, session: FastHttpSession, kind: str) -> list[Request]:
        if kind == WRONG:
            return wrong_requests(self._digits, self.settings.model)
        requests = MAKERS[kind](self._digits, self.settings.model)
        answers = self._answers(session, requests)
        complaints = list(map(_complaint, requests, answers))
        right = [request for request, wrong in zip(requests, complaints, strict=True) if not wrong]
        return self._some(right, kind, complaints[0])

    @staticmethod
    def _some(right: list[Item], what: str, why: str) -> list[Item]:
        if not right:
            raise CannotBegin(f"none of the {what} is read right at rest; the first: {why}")
        return right

    def _answers(self, session: FastHttpSession, requests: list[Request]) -> list[Answer]:
        answers: list[Answer] = Pool(AT_ONCE).map(partial(self._answer, session), requests)
        return answers

    def _answer(self, session: FastHttpSession, request: Request) -> Answer:
        """200, or CannotBegin when there is no hope or no patience any more."""
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


def sent(session: FastHttpSession, request: Request) -> Answer:
    """The answer, which the statistics know nothing of until it is used in a with block."""
    return session.request(
        request.method,
        request.path,
        name=request.name,
        data=request.body,  # type: ignore[arg-type]  # it takes bytes
        headers=request.headers,
        catch_response=True,
    )


def _failed(answer: Answer) -> str:
    """Count it; what was wrong."""
    if answer.status_code == 0:
        with answer:  # locust knows what happened to the connection
            return f"no answer ({answer.error})"
    why = f"{answer.status_code}: {said(answer.content or b'')}"
    if answer.status_code in (401, 403):
        why += " (API_KEY in the environment is what is sent)"
    with answer:
        answer.failure(why)
    return why


def _told(answer: Answer) -> Digit:
    try:
        return Digit.told(answer.content)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotBegin(f"{SAMPLES} answers no digit with its label: {error!r}") from error


def _complaint(request: Request, answer: Answer) -> str:
    return request.check(answer.content, answer.headers) if request.check else ""

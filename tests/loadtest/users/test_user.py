"""Users distinguish correct from wrong answers, and rejections from failures."""

from pathlib import Path

import pytest

from tests.loadtest.users.between import Response, another_digit, between
from tests.loadtest.users.swarm import Done, swarm, two_processes
from tests.support.running import Service

pytestmark = pytest.mark.slow

KINDS = {"png", "jpeg", "form", "json", "binary"}
WRONG = {
    "wrong, no image's type", "wrong, empty body", "wrong, truncated image",
    "wrong, blank image", "wrong, malformed JSON", "wrong, no base64", "wrong, wrong shape",
    "wrong, no such model", "wrong, no such route",
}  # fmt: skip
SECONDS = 8
BUSY = ("--think=0.01", "--weights=png=2 jpeg=2 wrong=4")


def test_a_working_service_has_no_failures(service: Service, tmp_path: Path) -> None:
    """With two processes, from any folder, with every kind of request, in steps."""
    words = (*BUSY, "--shape=steps", "--steps=2", *two_processes())
    done = swarm(f"--host={service.url}", *words, folder=tmp_path, seconds=12, users=20)
    assert done.code == 0, done.log
    assert set(done.reported) == KINDS | WRONG
    assert {name for name, each in done.reported.items() if each["num_failures"]} == set()
    assert done.log.count("50 images; misread without load, and so left out:") == 2
    assert "updating to 10 users" in done.log
    assert "updating to 20 users" in done.log


def test_wrong_digits_and_accepted_invalid_requests_are_failures(
    service: Service,
) -> None:
    with between(service, another_digit) as url:
        done = swarm(f"--host={url}", *BUSY)
    assert done.code == 1
    assert failed(done) == KINDS | WRONG
    assert all(
        done.reported[name]["num_failures"] == done.reported[name]["num_requests"] for name in WRONG
    )
    assert "200, not 415" in done.log


def test_a_503_is_a_failure_only_without_retry_after(
    service: Service,
) -> None:
    """Only the given users run; the service is ready a little later than they are."""

    def refuse(path: str, response: Response) -> Response:
        again = {"Retry-After": "1"} if path == "/v1/predict" else {}
        return Response(503, again, b"{}")

    with between(service, refuse, refused_at_first=1) as url:
        done = swarm(f"--host={url}", "--think=0.01", "Png", "Binary", users=4, seconds=SECONDS)
    assert done.code == 1
    assert set(done.reported) == {"/v1/samples/random", "png, refused", "binary"}
    assert failed(done) == {"/v1/samples/random", "binary"}
    assert done.reported["/v1/samples/random"]["num_failures"] == 1
    assert "/v1/samples/random: 503: not yet; it is waited for" in done.log
    # Three of the four send PNGs because of the weights, and each retries after a second.
    assert 2 <= done.reported["png, refused"]["num_requests"] <= 3 * (SECONDS + 1)


def test_without_a_service_no_load_starts() -> None:
    """Whichever process detects it, all of them end."""
    unreachable = ("--host=http://127.0.0.1:1", "--patience=0.1s")
    done = swarm(*unreachable, *two_processes(), seconds=60, users=4)
    assert done.code == 1
    assert "There is nothing to test: /v1/samples/random: no answer" in done.log
    assert "Traceback" not in done.log
    assert done.reported["/v1/samples/random"]["num_failures"] >= 2


def test_without_the_model_there_is_nothing_to_test(service: Service) -> None:
    done = swarm(f"--host={service.url}", "--model=others", seconds=60)
    assert done.code == 1
    assert "There is nothing to test: /v2/models/others/infer answered 404" in done.log
    assert done.reported.keys() == {"binary"}


def failed(done: Done) -> set[str]:
    return {name for name, each in done.reported.items() if each["num_failures"]}

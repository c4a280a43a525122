"""Users for locust: each posts test digits, one after another, and looks at every answer.

    locust --locustfile loadtest/locustfile.py --host http://127.0.0.1:8000
    ... --headless --users 20 --spawn-rate 10 --run-time 60s

At its start a user fetches some pictures from /v1/samples/random, then posts them at random. An
answer is right if it is 200 and one whole prediction; whether the digit is the right one is not
what a load test asks. 503 with Retry-After is a service that defends itself: it is counted by a
name of its own, and the user comes back when it was told to. Sends API_KEY where that is set.
Locust's exit code is 1 if any answer was not right.
"""

import json
import math
import os
import random
import time
from typing import Any

from locust import FastHttpUser, between, task

PREDICT, SAMPLES = "/v1/predict", "/v1/samples/random"
REFUSED = f"{PREDICT}, refused"
PICTURES = 10  # of a user
AGAIN = 1.0  # seconds until a user who got no picture asks again
KEY = os.environ.get("API_KEY")


class Reader(FastHttpUser):
    wait_time = between(0.05, 0.5)  # seconds between an answer and the next picture
    default_headers = {"X-API-Key": KEY} if KEY else {}

    def on_start(self) -> None:
        self.pictures = [self._sample() for _ in range(PICTURES)]

    @task
    def predict(self) -> None:
        pause = 0.0
        with self.client.post(
            PREDICT,
            data=random.choice(self.pictures),  # type: ignore[arg-type]  # noqa: S311 (it takes bytes)
            headers={"Content-Type": "image/png"},
            catch_response=True,
        ) as answer:
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                answer.request_meta["name"] = REFUSED
                pause = float(answer.headers["Retry-After"])
                answer.success()
            elif answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text}")
            elif complaint := _complaint(answer.text):
                answer.failure(complaint)
        time.sleep(pause)

    def _sample(self) -> bytes:
        """A test picture as PNG; asks until there is one, and each failure counts."""
        while True:
            answer = self.client.get(SAMPLES, headers={"Accept": "image/png"})
            if answer.status_code == 200 and answer.content:
                png: bytes = answer.content
                return png
            time.sleep(AGAIN)


def _complaint(text: str | None) -> str:
    """What is wrong with an answer to one picture; nothing if it is a whole prediction."""
    try:
        (prediction,) = json.loads(text or "")["predictions"]
        probabilities: list[Any] = prediction["probabilities"]
        whole = math.isclose(math.fsum(probabilities), 1, abs_tol=1e-3)
        if whole and prediction["confidence"] == max(probabilities) and "label" in prediction:
            return ""
    except (ValueError, KeyError, TypeError) as error:
        return f"no prediction: {type(error).__name__} in {(text or '')[:200]}"
    return f"probabilities that are none: {(text or '')[:200]}"

"""Classify images with httpx, and repeat requests as the service asks for it.

    pip install httpx
    python predict.py http://127.0.0.1:8000 seven.png photo.jpg

A busy service answers 503 with the header Retry-After, the seconds after which it will have room
again. A client that waits for so long gets its answer; one that repeats at once only prolongs the
overload. A prediction changes nothing, so it may also be repeated if the connection fails.
"""

import random
import sys
import time
from pathlib import Path
from typing import Any

import httpx

ATTEMPTS = 5
FIRST_PAUSE = 0.1  # seconds before the second attempt if the service names none; then doubled


def predict(client: httpx.Client, image: bytes) -> dict[str, Any]:
    """The prediction for one image file; httpx.HTTPError if there is none after ATTEMPTS."""
    headers = {"Content-Type": "application/octet-stream"}
    pause = FIRST_PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = client.post("/v1/predict", content=image, headers=headers)
        except httpx.TransportError:
            if attempt == ATTEMPTS:
                raise
            wait = pause
        else:
            # Errors that may pass have Retry-After; without it, the same request fails again.
            if attempt == ATTEMPTS or "Retry-After" not in response.headers:
                return prediction_of(response)
            wait = float(response.headers["Retry-After"])
        time.sleep(wait * random.uniform(1, 1.25))  # so that clients do not all return at once
        pause *= 2
    raise AssertionError("the last attempt returns or raises")


def prediction_of(response: httpx.Response) -> dict[str, Any]:
    """The first prediction of a response; HTTPStatusError with the reason of an error."""
    if response.is_error:
        problem = response.json()
        reason = f"{problem['title']}: {problem['detail']} (request {problem['request_id']})"
        raise httpx.HTTPStatusError(reason, request=response.request, response=response)
    prediction: dict[str, Any] = response.json()["predictions"][0]
    return prediction


def main(url: str, *paths: str) -> int:
    failed = 0
    with httpx.Client(base_url=url, timeout=10) as client:
        for path in paths:
            try:
                prediction = predict(client, Path(path).read_bytes())
            except (httpx.HTTPError, OSError) as error:
                print(f"{path}: {error}", file=sys.stderr)
                failed = 1
            else:
                print(f"{path}: {prediction['label']} ({prediction['confidence']:.2%})")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python predict.py URL IMAGE...")
    sys.exit(main(*sys.argv[1:]))

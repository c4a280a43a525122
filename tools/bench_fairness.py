"""The latency of small requests while other clients send large forms: make bench-fairness

Starts a service; one client repeatedly sends a small image that needs preprocessing, alternately
alone and beside four clients whose forms have 16 images of 16 megapixels. Prints both medians and
their ratio, which hold for this machine and its current load.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx2
import numpy as np

from tests.fixtures import MODELS
from tests.support.forms import part, post_parts
from tests.support.pictures import SEVEN, encoded
from tests.support.running import Service

ROUNDS, SECONDS, CLIENTS, IMAGES = 4, 5.0, 4, 16


def seconds_each(service: Service, seconds: float) -> list[float]:
    """The latencies of sequential requests with a small image."""
    took, end = [], time.monotonic() + seconds
    with service.client(headers={"Content-Type": "image/png"}) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            client.post("/v1/predict", content=SEVEN).raise_for_status()
            took.append(time.perf_counter() - began)
            time.sleep(0.005)
    return took


def send_forms(service: Service, form: list[bytes], seconds: float) -> list[int]:
    """The statuses."""
    statuses, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            statuses.append(post_parts(service, *form).status_code)
        except httpx2.TransportError:
            statuses.append(0)
    return statuses


def main() -> None:
    digit = np.pad(np.zeros((2400, 400), np.uint8), ((800, 800), (1800, 1800)), constant_values=255)
    form = [part(encoded(digit))] * IMAGES  # 4000 x 4000 each
    alone: list[float] = []
    beside: list[float] = []
    with Service.started(MODELS) as service, ThreadPoolExecutor(CLIENTS) as threads:
        seconds_each(service, 1)
        for _ in range(ROUNDS):
            alone += seconds_each(service, SECONDS)
            sending = [threads.submit(send_forms, service, form, SECONDS) for _ in range(CLIENTS)]
            beside += seconds_each(service, SECONDS)
            statuses = [status for each in sending for status in each.result()]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; the last forms: {statuses}")
    for name, took in (("alone", alone), ("beside forms", beside)):
        middle, longest = median(took) * 1e3, max(took) * 1e3
        print(f"{name:13} p50 {middle:6.1f} ms, longest {longest:7.1f} ms, {len(took)} requests")
    print(f"ratio of the medians {median(beside) / median(alone):.2f}")


if __name__ == "__main__":
    main()

"""An open-loop load from a host: every answer is read, and its label compared with the image's."""

import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import numpy as np

from loadtest.client.openloop.generator import generate
from loadtest.client.openloop.processes import poisson
from loadtest.client.openloop.result import Outcomes
from loadtest.client.requests import (
    PREDICT,
    ExpectedRequest,
    SampleImages,
    answered_right,
    post,
)
from loadtest.client.result import Address, quantile
from tests.scale.hosts import Host

CONNECTIONS = 32
PATIENCE = 15.0  # seconds for outstanding answers at the end
END_OF_PNG = b"\0\0\0\0IEND"


@dataclass
class Load:
    """What was sent and answered; complete after the block."""

    rate: float  # requests a second
    seconds: float
    bytes: int  # of the largest body
    began: float = 0.0  # time.perf_counter
    outcomes: Outcomes | None = None

    def until(self, second: float) -> None:
        """Wait until so many seconds of the load have passed."""
        time.sleep(max(0.0, self.began + second - time.perf_counter()))

    @property
    def lost(self) -> int:
        """Requests without an answer, refused or answered with another label."""
        found = self._ended
        return found.unanswered + found.refused + found.wrong

    @property
    def slowest(self) -> float:
        """Seconds from when a request was due to its answer."""
        return self._quantile(1.0)

    @property
    def p99(self) -> float:
        return self._quantile(0.99)

    @property
    def summary(self) -> str:
        found = self._ended
        return (
            f"{self.lost} of {found.requests} lost ({found.unanswered} unanswered, {found.refused} "
            f"refused, {found.wrong} wrong; {dict(found.broken)}), slowest {self.slowest:.3f} s"
        )

    @property
    def requests(self) -> int:
        return self._ended.requests

    def _quantile(self, q: float) -> float:
        answered = self._ended.latencies
        return quantile(answered[np.isfinite(answered)], q)

    @property
    def _ended(self) -> Outcomes:
        assert self.outcomes is not None, "the load goes on"
        return self.outcomes


@dataclass(frozen=True)
class Client:
    """Sends test images to a balancer from a host."""

    host: Host
    address: Address
    images: SampleImages
    rate: float  # requests a second
    seconds: float  # of a load

    @contextmanager
    def load(self, size: int = 0, seconds: float | None = None) -> Iterator[Load]:
        """Send bodies of at least `size` bytes while the block runs, and until the load has ended.

        The images that are read right are determined first.
        """
        seconds = seconds or self.seconds
        requests = padded(self.images.files, self.images.labels, size)
        found = Load(self.rate, seconds, size or max(map(len, self.images.files)))
        with self.host.executor() as executor:
            right = executor.submit(answered_right, self.address, requests).result()
            found.began = time.perf_counter()
            sending = executor.submit(
                generate,
                self.address,
                right,
                poisson(self.rate, seconds, [1]),
                connections=CONNECTIONS,
                ready=CONNECTIONS,
                patience=PATIENCE,
            )
            yield found
            found.outcomes = sending.result()

    def get(self, path: str, address: Address | None = None) -> httpx2.Response:
        """The response of the balancer, or of another address, to this host."""
        url = f"{address or self.address}{path}"
        with self.host.executor() as executor:
            return executor.submit(httpx2.get, url, timeout=PATIENCE).result()


def padded(files: list[bytes], labels: list[str], size: int) -> list[ExpectedRequest]:
    """Requests with these PNGs, made `size` bytes long by a comment that decoders skip."""
    return [
        ExpectedRequest(
            post(PREDICT, _padded(png, size), {"Content-Type": "image/png"}),
            b'"label":"%s"' % label.encode(),
        )
        for png, label in zip(files, labels, strict=True)
    ]


def _padded(png: bytes, size: int) -> bytes:
    missing = size - len(png) - 12  # length, type and checksum of a chunk
    if missing < 0:
        return png
    body = b"tEXt" + b"Comment\0".ljust(missing, b".")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    at = png.rindex(END_OF_PNG)
    return png[:at] + chunk + png[at:]

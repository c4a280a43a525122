"""What is sent to a server: test images of a model version, and HTTP requests made of them.

A request is made once, as the bytes that go over the wire, and sent many times. The images come
with a model version: models/<name>/<current>/samples.png is a sheet of them, and samples.json holds
their labels in reading order, their size and how many are in a row.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

from loadtest.client.asyncio_client import LOST, send_once
from loadtest.client.result import Address
from loadtest.errors import CannotMeasure
from preprocessing.preparation import Preparer, preparer_for

PREDICT = "/v1/predict"
INFER = "/v2/models/{name}/infer"
STATUS = "/v1/status"
# zlib's own level, which most writers of PNG take. OpenCV's makes files a quarter larger, and takes
# 10 us to decode one where these take 6.
PNG = (cv2.IMWRITE_PNG_COMPRESSION, 6)


@dataclass(frozen=True)
class SampleImages:
    folder: Path  # of the model version
    pixels: NDArray[np.uint8]  # (n, h, w) or (n, h, w, 3) RGB
    labels: list[str]
    files: list[bytes]
    prepare: Preparer  # what the model's pixels are made of files with
    content_type: str = "image/png"

    @classmethod
    def of_current(cls, models: Path, name: str) -> Self:
        """Those of the current version; CannotMeasure if there is none."""
        try:
            current = (models / name / "current").read_text().strip()
            folder = models / name / current
            sheet_info = json.loads((folder / "samples.json").read_text())
            prepare = preparer_for((folder / "card.json").read_bytes())
            sheet: Any = cv2.imread(str(folder / "samples.png"), cv2.IMREAD_UNCHANGED)
        except (OSError, ValueError) as error:  # of which BadCard is one
            raise CannotMeasure(
                f"no model version to measure in {models / name}: {error}"
            ) from error
        if sheet is None:
            raise CannotMeasure(f"{folder / 'samples.png'} cannot be read")
        columns, labels = sheet_info["columns"], sheet_info["labels"]
        # Earlier versions hold digits only, whose sides are equal.
        height, width = (sheet_info.get(name) or sheet_info["side"] for name in ("height", "width"))
        cut = sheet.reshape(-1, height, columns, width, *sheet.shape[2:]).swapaxes(1, 2)
        images = cut.reshape(-1, height, width, *sheet.shape[2:])[: len(labels)]
        pngs = [cv2.imencode(".png", each, PNG)[1].tobytes() for each in images]
        pixels = images[..., ::-1] if images.ndim == 4 else images  # OpenCV has BGR
        return cls(folder, np.ascontiguousarray(pixels), labels, pngs, prepare)

    def as_jpegs(self, width: int, height: int) -> Self:
        """The same images as JPEGs of another size."""
        files = []
        for each in self.pixels:
            image = cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC)
            file = cv2.imencode(".jpg", image[..., ::-1] if image.ndim == 3 else image)[1]
            files.append(file.tobytes())
        return replace(self, files=files, content_type="image/jpeg")

    @property
    def requests(self) -> list[bytes]:
        """A request for each image."""
        return [post(PREDICT, file, {"Content-Type": self.content_type}) for file in self.files]

    @property
    def graph(self) -> Path:
        return self.folder / "model.onnx"

    def drawings(self, side: int) -> list[bytes]:
        """Digits as PNGs of another size, dark on light as people draw them."""
        return [
            cv2.imencode(".png", cv2.resize(255 - each, (side, side)), PNG)[1].tobytes()
            for each in self.pixels
        ]

    def batch(self, size: int) -> NDArray[np.uint8]:
        """(size, h, w) or (size, h, w, 3), the images in turn."""
        return self.pixels[np.arange(size) % len(self.pixels)]


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def predict_request(png: bytes) -> bytes:
    return post(PREDICT, png, {"Content-Type": "image/png"})


def tensor(name: str, pixels: NDArray[np.uint8]) -> bytes:
    """A batch of the Open Inference Protocol, (n, h, w[, 3]) in its binary tensor extension."""
    header = {
        "inputs": [
            {
                "name": "pixels",
                "datatype": "UINT8",
                "shape": list(pixels.shape),
                "parameters": {"binary_data_size": pixels.nbytes},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return post(INFER.format(name=name), head + pixels.tobytes(), headers)


class ExpectedRequest(NamedTuple):
    data: bytes
    expected: bytes  # part of every right answer and of no wrong one; empty: any answer is right


def requests_of(images: SampleImages, key: str | None = None) -> list[ExpectedRequest]:
    """A request for each image; `key` for a service that requires one."""
    headers = {"Content-Type": images.content_type} | ({"X-API-Key": key} if key else {})
    return [
        ExpectedRequest(post(PREDICT, file, headers), b'"label":%s' % orjson.dumps(label))
        for file, label in zip(images.files, images.labels, strict=True)
    ]


def answered_right(address: Address, requests: Sequence[ExpectedRequest]) -> list[ExpectedRequest]:
    """Those that are answered right without other load; CannotMeasure if none is.

    An image that the network misreads is not a failure of a service under load.
    """
    right = []
    for request in requests:
        try:
            answer = send_once(address, request.data)
        except LOST as error:
            raise CannotMeasure(f"{address} does not answer: {error!r}") from error
        if answer.status != 200:
            raise CannotMeasure(
                f"{address} answered an image with {answer.status}: {answer.excerpt}"
            )
        if request.expected in answer.body:
            right.append(request)
    if not right:
        raise CannotMeasure(f"{address} reads none of {len(requests)} images right")
    return right

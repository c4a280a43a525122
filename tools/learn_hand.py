"""Show that corrections teach a model a hand that it misreads: python -m tools.learn_hand

Trains a model on MNIST alone (MNIST_DIR, or a download), without digits in other hands, starts the
service and a retraining worker with it, draws sevens with a bar and a foot, which MNIST hardly has,
and does by HTTP what users and an admin do:

    500 images --/v1/predict--> how many are read
    200 others --/v1/feedback--> corrections, accepted --/v1/retrain--> judged --approve--> served
    the 500 again, and ones with an upstroke beside them, which nobody corrects

Prints what each step found. With --images DIR it writes the images that changed sides, and how the
page shows the job that awaits approval, which needs Chromium. Exits with 1 if fewer than --at-least
of the 500 are read at the end, or if the new version is not accepted.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
from numpy.typing import NDArray

from contract.command_line import program
from loadtest.arguments import fraction
from tests.support.program import Program
from tests.support.running import ADMIN, ROOT, TOKEN, Service
from tools.web_pictures import take_job
from training.strokes import drawn_by_one_hand

FOOTED_SEVEN = "5,5 95,5 / 95,5 55,50 50,98 / 20,50 90,48 / 10,98 95,96"
UPSTROKE_ONE = "10,50 60,0 / 60,0 60,100"
CORRECTED, OTHERS = 200, 500
SPARE = 600  # more to correct: those that are read need no correction
PNG = {"Content-Type": "image/png"}
ENDED = ("awaiting_approval", "failed", "kept", "cancelled")
Images = NDArray[np.uint8]


class Worker(Program):
    def hear(self, line: str) -> bool:
        return "waits for jobs" in line


def main(words: Sequence[str] | None = None) -> int:
    parser = program("tools.learn_hand", __doc__)
    parser.add_argument("--preset", default="default", help="of the retraining")
    parser.add_argument("--weight", type=int, default=1, help="times that a correction is shown")
    parser.add_argument("--at-least", type=fraction, default=0.98, help="share of the 500")
    parser.add_argument("--images", type=Path, metavar="DIR", help="write PNGs to this folder")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="learn-hand-") as folder:
        return learn(Path(folder), arguments.preset, arguments.weight, arguments.at_least,
                     arguments.images)  # fmt: skip


def learn(folder: Path, preset: str, weight: int, at_least: float, images: Path | None) -> int:
    sevens = drawn_by_one_hand(FOOTED_SEVEN, SPARE + CORRECTED + OTHERS, seed=1)
    ones = drawn_by_one_hand(UPSTROKE_ONE, OTHERS, seed=2)
    others = sevens[:OTHERS]
    _train_on_mnist(folder)
    with _running(folder) as service, service.client(headers=ADMIN) as client:
        before = _read(client, others)
        _say(f"Before: {_share(before, '7')} of {OTHERS} sevens with a foot are read, "
             f"{_share(_read(client, ones), '1')} of {OTHERS} ones with an upstroke")  # fmt: skip
        _correct(client, sevens[OTHERS:])
        recipe = {"also_weight": weight, "hands": 0.0}
        job = _retrained(client, {"preset": preset, "data": "mnist", "recipe": recipe})
        gate = job["gate"]
        if gate is None:
            _say(f"The job ended as {job['state']}: {job['reason']}")
            return 1
        _say(f"Verdict: {gate['verdict']}; of {gate['images']:,} images {gate['gained']} are "
             f"gained and {gate['lost']} lost")  # fmt: skip
        for check in gate["checks"]:
            _say(f"  {'passed' if check['passed'] else 'FAILED'}  {check['reason']}")
        if gate["verdict"] == "worse":
            return 1
        if images:
            images.mkdir(parents=True, exist_ok=True)
            take_job(service.url, images / "learned-job.png")
        client.post(f"/v1/retrain/{job['id']}/approve").raise_for_status()
        _wait_for_version(client, job["version"])
        after = _read(client, others)
        _say(f"After: {_share(after, '7')} of the same sevens are read, "
             f"{_share(_read(client, ones), '1')} of the ones")  # fmt: skip
    if images:
        _write_sheet(images / "learned-hand.png", others, before, after)
    return int(after.count("7") < at_least * OTHERS)


def _train_on_mnist(folder: Path) -> None:
    """Train a quick model, and export it as the only version."""
    runs = str(folder / "runs")
    quick = ["training", "--preset", "quick", "--hands", "0", "--runs", runs]
    store = ["export", "--runs", runs, "--models", str(folder / "models")]
    for words in (quick, store):
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)


@contextmanager
def _running(folder: Path) -> Iterator[Service]:
    """The service and a worker that share a database, a store and a folder of corrections."""
    shared = {
        "jobs": f"sqlite:///{folder}/jobs.sqlite", "feedback": folder / "feedback",
        "runs": folder / "runs",
    }  # fmt: skip
    variables = {f"DIGITSERVE_{name.upper()}": str(value) for name, value in shared.items()}
    worker = Worker(
        [sys.executable, "-m", "retraining", "worker", "--name", "learn-hand"],
        folder=ROOT,
        environment=os.environ | variables | {"DIGITSERVE_MODELS": str(folder / "models")},
    )
    try:
        with Service.started(
            folder / "models", admin_token=TOKEN, feedback_rate=10_000, watch_seconds=1, **shared
        ) as service:
            yield service
    finally:
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait()


def _read(client: httpx2.Client, images: Images) -> list[str]:
    """The labels of the service for images (n, 28, 28)."""
    labels = []
    for image in images:
        response = client.post("/v1/predict", content=_png(image), headers=PNG)
        labels.append(response.raise_for_status().json()["predictions"][0]["label"])
    return labels


def _correct(client: httpx2.Client, images: Images) -> None:
    """Correct the first misread images as a user, and accept the corrections as an admin."""
    misread = [image for image, label in zip(images, _read(client, images), strict=True)
               if label != "7"][:CORRECTED]  # fmt: skip
    if len(misread) < CORRECTED:
        raise SystemExit(f"only {len(misread)} of {len(images)} images are misread: draw more")
    for image in misread:
        client.post("/v1/feedback?label=7", content=_png(image), headers=PNG).raise_for_status()
    found = client.get("/v1/feedback?limit=1000").raise_for_status().json()
    for image in found["images"]:
        client.post(f"/v1/feedback/{image['sha256']}/accept?label=7").raise_for_status()
    held_out = sum(image["held_out"] for image in found["images"])
    _say(f"Corrections: {len(found['images'])} accepted by an admin, of which {held_out} are held "
         f"out; {found['waiting']} had waited")  # fmt: skip


def _retrained(client: httpx2.Client, request: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/retrain", json=request | {"activate": "ask"})
    job: dict[str, Any] = response.raise_for_status().json()
    began, state = time.monotonic(), ""
    while job["state"] not in ENDED:
        if job["state"] != state:
            state = job["state"]
            _say(f"Job {job['id']}: {state}, {time.monotonic() - began:.0f} s")
        time.sleep(0.5)
        job = client.get(f"/v1/retrain/{job['id']}").raise_for_status().json()
    return job


def _wait_for_version(client: httpx2.Client, version: int) -> None:
    while client.get("/v1/status").json()["model"]["version"] != str(version):
        time.sleep(0.2)


def _write_sheet(path: Path, images: Images, before: list[str], after: list[str]) -> None:
    """The images that are read now and were not, at most 10 x 3, twice as large."""
    gained = [
        image
        for image, old, new in zip(images, before, after, strict=True)
        if old != "7" and new == "7"
    ]
    whole = min(len(gained), 30) // 10 * 10
    rows = [np.hstack(gained[row : row + 10]) for row in range(0, whole, 10)]
    if rows:
        cv2.imwrite(str(path), cv2.resize(255 - np.vstack(rows), None, fx=2, fy=2))


def _png(image: Images) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def _share(labels: list[str], right: str) -> str:
    return f"{labels.count(right) / len(labels):.1%}"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

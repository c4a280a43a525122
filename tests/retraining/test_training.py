"""What a job is trained on."""

import json

import cv2
import numpy as np
import pytest

from contract import corrections
from tests.retraining.place import SMALL, Place

pytestmark = pytest.mark.slow


def test_a_job_is_trained_on_accepted_corrections(place: Place) -> None:
    folder = place.feedback / "accepted" / "7"
    folder.mkdir(parents=True)
    for pixels in np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8):
        name = corrections.hash_of(pixels.tobytes())
        (folder / f"{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    place.command("submit", "--id", "job", "--activate", "never", *SMALL)
    worker = place.worker()
    place.wait_for("job", "kept")
    assert worker.log.count("job job: judging") == 1
    also = json.loads((place.runs / "job/run.json").read_text())["data"]["also"]
    assert also["train"] + also["held_out"] == 20

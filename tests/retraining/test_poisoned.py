"""Wrong corrections, from the requests of users to the verdict on what was trained on them."""

from collections.abc import Iterator

import pytest

from tests.retraining.place import SMALL, Place
from tests.support.pictures import encoded
from tests.support.running import ADMIN, TOKEN, Service, wait_until
from training.embedded import written_digits

pytestmark = pytest.mark.slow

RECIPE = {"epochs": 3, "width": 0.5, "threads": 1, "also_weight": 5}


@pytest.fixture
def service(place: Place) -> Iterator[Service]:
    """It serves what a job has trained on `digits`, and a worker waits for the next one."""
    place.command("submit", "--id", "healthy", "--activate", "never", *SMALL)
    place.worker()
    place.store.activate(place.wait_for("healthy", "kept").version or 0)
    shared = {"jobs": place.environment["DIGITSERVE_JOBS"], "feedback": place.feedback}
    models = place.store.folder.parent
    with Service.started(
        models, admin_token=TOKEN, feedback_rate=10_000, runs=place.runs, **shared
    ) as service:
        yield service


def test_with_all_sevens_called_one_the_old_model_goes_on_serving(
    service: Service, place: Place
) -> None:
    pixels, labels = written_digits()
    with service.client(headers={"Content-Type": "image/png"}) as users:
        for image in pixels[labels == 7]:
            users.post("/v1/feedback?label=1", content=encoded(image)).raise_for_status()
    serving = place.store.current()
    with service.client(headers=ADMIN) as admin:
        listed = admin.get("/v1/feedback?limit=1000").json()
        assert listed["waiting"] > 0, "the model is certain that some are sevens"
        for image in listed["images"]:
            admin.post(f"/v1/feedback/{image['sha256']}/accept?label=1").raise_for_status()
        request = {"recipe": RECIPE, "activate": "if_better"}
        job = admin.post("/v1/retrain", json=request).raise_for_status().json()["id"]
        done = place.wait_for(job, "kept", "activated", "awaiting_approval")
        wait_until(lambda: admin.get(f"/v1/retrain/{job}").json()["state"] == "kept", service)
        answer = admin.get("/v1/status").json()["model"]["version"]
    assert done.gate is not None
    assert (done.gate.verdict, done.gate.parent) == ("worse", serving)
    assert "recall of 7" in [check.name for check in done.gate.checks if not check.passed]
    assert "test images of 7" in (done.reason or "")
    assert (answer, place.store.current()) == (str(serving), serving)

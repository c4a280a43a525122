"""Retraining trains, exports, judges and activates in a bucket as in a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from tests.cloud.emulators import Seaweed
from tests.retraining.place import SMALL, Place
from tests.support.versions import publish


@pytest.fixture
def place(seaweed: Seaweed, url: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.environment |= {
        "DIGITSERVE_MODELS": url,
        "DIGITSERVE_MODELS_CACHE": str(tmp_path / "cache"),
    }
    yield place
    place.close()


def test_a_job_publishes_to_the_bucket_and_activates_there(
    place: Place, machine: Callable[[str], Store], version: Version
) -> None:
    store = machine("reader")
    store.activate(publish(store, version))
    place.worker()
    assert place.command("submit", "--id", "job", "--activate", "ask", *SMALL) == 0
    job = place.wait_for("job", "awaiting_approval")
    assert (job.version, job.parent) == (2, 1)
    assert store.of_job("job") == [2]
    assert store.current() == 1
    assert place.command("approve", "job", "--force") == 0
    place.wait_for("job", "activated")
    assert store.open().number == 2
    assert [each.after for each in store.history()] == [1, 2]

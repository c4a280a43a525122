"""The committed model version gives the same predictions on every processor."""

import numpy as np

from contract.card import FP16, INT8, ONNX
from contract.store import Store
from contract.version import Version
from tests.fixtures import FOLDER, MODELS, Judged, margins


def test_the_version_is_complete_and_small() -> None:
    assert Store(MODELS, "digits").open().number == 1
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 400_000


def test_no_rounding_changes_a_prediction(version: Version, judged: Judged) -> None:
    """Two logits may each be off by the largest measured difference of a precision."""
    least = margins(judged.logits).min()
    assert {*version.card.parity} == {ONNX, FP16, INT8}
    for parity in version.card.parity.values():
        assert parity.different_answers == 0
        assert 2 * parity.largest_difference < least


def test_the_judged_images_are_the_test_set_of_the_version(
    version: Version, judged: Judged
) -> None:
    assert version.card.data_set is not None
    assert version.card.evaluation is not None
    assert len(judged.labels) == version.card.data_set.test
    assert (judged.digits == judged.labels).mean() == version.card.evaluation.accuracy
    with np.load(version.folder / "golden.npz", allow_pickle=False) as golden:
        known = {
            picture.tobytes(): row
            for picture, row in zip(judged.pixels, judged.logits, strict=True)
        }
        for picture, row in zip(golden["pixels"], golden["logits"], strict=True):
            assert np.allclose(known[picture.tobytes()], row, atol=1e-4)

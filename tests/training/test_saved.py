"""A saved model becomes a run again, on test images that are named, so that it can be exported."""

from pathlib import Path

import numpy as np

from training.data import DataSet
from training.run import Run
from training.saved import run_of_model


def test_a_saved_model_becomes_a_run_with_the_named_test_images(
    run: Run, small_data: DataSet, small_folder: Path, tmp_path: Path
) -> None:
    run.checkpoint().save(tmp_path / "model.pt")
    again = run_of_model(tmp_path / "model.pt", str(small_folder), tmp_path / "runs")
    np.testing.assert_array_equal(again.test_set()[0], small_data.test[0])
    checkpoint = again.checkpoint()
    assert checkpoint.evaluation.accuracy == run.checkpoint().evaluation.accuracy
    assert checkpoint.data_set.name == small_folder.name
    assert again.validation_set() is None
    assert again.calibration().shape == (200, 28, 28)

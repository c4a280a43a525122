"""Training learns, repeats itself bit for bit, and leaves a run that says all there is to know."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import RECIPE
from training.data import DataSet
from training.evaluate import calibration_error, fit_temperature, logits_of
from training.loop import train
from training.model import Compact, parameters_of
from training.recipe import BadRecipe
from training.run import BadRun, Run


def test_the_compact_network_has_29434_parameters() -> None:
    assert parameters_of(Compact()) == 29_434


def test_a_small_training_learns_to_tell_digits_apart(run: Run) -> None:
    assert run.checkpoint().evaluation.accuracy > 0.9


def test_the_same_seed_gives_the_same_weights_bit_for_bit(small_data: DataSet) -> None:
    first, second = (
        train(small_data, replace(RECIPE, epochs=2, rotation=10), lambda _: None) for _ in range(2)
    )
    for name, weights in first.network.state_dict().items():
        assert torch.equal(weights, second.network.state_dict()[name])


def test_another_seed_gives_other_weights(small_data: DataSet) -> None:
    first, second = (
        train(small_data, replace(RECIPE, epochs=1, seed=seed), lambda _: None) for seed in (0, 1)
    )
    assert first.evaluation != second.evaluation


def test_a_batch_larger_than_the_data_is_refused_by_name(small_data: DataSet) -> None:
    with pytest.raises(BadRecipe, match="--batch-size is 600, more than the 570 pictures"):
        train(small_data, replace(RECIPE, batch_size=600), lambda _: None)


def test_a_run_holds_everything_that_was_measured(run: Run) -> None:
    metrics = json.loads((run.folder / "training_metrics.json").read_text())
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert metrics["history"] == lines
    assert metrics["recipe"]["batch_size"] == 32
    assert metrics["parameters"] == 29_434
    assert metrics["data_set"]["test"] == 200
    assert metrics["cpu_seconds"] > 0
    assert len(metrics["evaluation"]["per_class"]) == 10
    assert sum(row["support"] for row in metrics["evaluation"]["per_class"]) == 200


def test_the_checkpoint_loads_without_running_code(run: Run) -> None:
    facts = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    assert facts["recipe"]["epochs"] == 6
    assert set(facts["weights"]) == set(Compact().state_dict())


def test_a_built_checkpoint_answers_as_it_did_when_it_was_trained(run: Run) -> None:
    checkpoint = run.checkpoint()
    pixels, labels = run.test_set()
    answers = logits_of(checkpoint.build(), torch.from_numpy(pixels)).argmax(1).numpy()
    assert float((answers == labels).mean()) == pytest.approx(checkpoint.evaluation.accuracy)


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    assert len({Run.create(tmp_path).folder for _ in range(5)}) == 5


def test_without_a_finished_run_one_is_told_to_train(tmp_path: Path) -> None:
    Run.create(tmp_path)
    with pytest.raises(BadRun, match="holds no finished run: train one first"):
        Run.latest(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "did not end"),
        (b"", "is damaged"),
        (b"PK\x03\x04 half a file", "is damaged"),
        (b"hello world", "is damaged"),
        (b"\x80\x02.", "is damaged"),
    ],
    ids=["missing", "empty", "cut", "text", "half a pickle"],
)
def test_a_damaged_checkpoint_is_named(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    run = Run.create(tmp_path)
    if content is not None:
        (run.folder / "checkpoint.pt").write_bytes(content)
    with pytest.raises(BadRun, match=rf"checkpoint\.pt .*{complaint}|{complaint}"):
        run.checkpoint()


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path)
    torch.save({"model": {}}, run.folder / "checkpoint.pt")
    with pytest.raises(BadRun, match=r"is not a checkpoint of this project: see .*weights"):
        run.checkpoint()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"network": "enormous"}, "of a network 'enormous'; known are: compact"),
        ({"weights": {}}, "weights are not compact's"),
        ({"labels": ("a", "b")}, "weights are not compact's"),
        ({"recipe": {}}, "weights are not compact's: 'dropout'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_checkpoint_of_another_network_says_so(
    run: Run, change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(BadRun, match=complaint):
        run.checkpoint().model_copy(update=change).build()


@pytest.mark.parametrize("shape", [(0, 28, 28), (3, 27, 28), (3,)])
def test_a_test_set_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    run = Run.create(tmp_path)
    pixels, labels = np.zeros(shape, np.uint8), np.zeros(shape[0], np.uint8)
    np.savez(run.folder / "test_set.npz", pixels=pixels, labels=labels)
    with pytest.raises(BadRun, match=r"test_set\.npz holds uint8 .* not uint8 \(n, 28, 28\)"):
        run.test_set()


def test_the_temperature_makes_an_overconfident_network_honest() -> None:
    random = torch.Generator().manual_seed(0)
    honest = torch.randn(20_000, 10, generator=random) * 2
    labels = torch.multinomial(torch.softmax(honest, 1), 1, generator=random)[:, 0]
    temperature = fit_temperature(honest * 3, labels)
    assert temperature == pytest.approx(3, rel=0.05)
    assert calibration_error(honest * 3 / temperature, labels) < 0.01
    assert calibration_error(honest * 3, labels) > 0.1


def test_a_network_that_is_never_wrong_still_gets_a_finite_temperature() -> None:
    labels = torch.arange(10)
    temperature = fit_temperature(torch.eye(10) * 5, labels)
    assert np.isfinite(temperature)
    assert temperature > 0

"""A run writes scalars, histograms, images and the graph for TensorBoard."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.run import Run


def test_every_epoch_has_scalars_histograms_and_images(run: Run) -> None:
    events = EventAccumulator(str(run.folder / "tensorboard"), {"images": 0, "scalars": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {
        "loss/training", "loss/validation", "accuracy/training", "accuracy/validation",
        "learning rate",
    }  # fmt: skip
    losses = [(event.step, event.value) for event in events.Scalars("loss/training")]
    history = run.metrics()["history"]
    assert [step for step, _ in losses] == [epoch["epoch"] for epoch in history]
    assert abs(losses[0][1] - history[0]["loss"]) < 1e-6
    weights = [name for name in run.checkpoint().weights if name.endswith(("weight", "bias"))]
    assert set(tags["histograms"]) == set(weights)
    assert {tag.partition("/")[0] for tag in tags["images"]} == {"learned from", "misclassified"}
    assert tags["graph"]

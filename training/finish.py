"""The end of a training: calibrate, judge on the test set, write everything down."""

import numpy as np
import torch
from torch import nn

from contract.provenance import git_commit, library_versions
from training.board import Board
from training.evaluate import fit_temperature, judge, logits_of
from training.kept import Pictures
from training.loop import Part, Training
from training.model import parameters_of
from training.plots import write_plots
from training.recipe import Recipe
from training.report import measured_of, say, summary
from training.run import Checkpoint, Run
from training.task import Task

CALIBRATION = 1000  # pictures, in the order of `split`, which is a random one


def finish(
    run: Run,
    recipe: Recipe,
    task: Task,
    training: Training,
    network: nn.Module,
    board: Board,
) -> None:
    """Leave a finished run: its checkpoint holds the kept weights with their temperature."""
    network.load_state_dict(training.kept["weights"])
    network.cpu()
    temperature = 1.0
    if task.held_out:
        logits = logits_of(network, task.held_out.pixels)
        temperature = fit_temperature(logits, task.held_out.labels)
    test = task.test
    judged = judge(network, test.pixels, test.labels, temperature, task.data.labels)
    wall, cpu = training.seconds, training.cpu_seconds
    taught = [run.teacher(number).metrics() for number in range(1, recipe.teachers + 1)]
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe=recipe.as_dict(),
        labels=tuple(task.data.labels),
        temperature=temperature,
        data_set=task.facts,
        evaluation=judged.evaluation(),
        git_commit=git_commit(),
        libraries=library_versions("torch", "numpy", "scikit-learn"),
    )
    run.finish(
        checkpoint,
        task.data.test,
        _arrays(task.held_out) if task.held_out else None,
        task.learn.pixels[:CALIBRATION].numpy(),
        training.history,
        **measured_of(judged),
        best_epoch=training.best["epoch"],  # by validation loss
        kept_epoch=training.kept["epoch"],
        parameters=parameters_of(network),
        device=task.place.name,
        threads=torch.get_num_threads(),
        wall_seconds=wall,
        cpu_seconds=cpu,  # of the first process, stops not counted, teachers apart
        teachers_wall_seconds=sum(teacher["wall_seconds"] for teacher in taught),
        teachers_cpu_seconds=sum(teacher["cpu_seconds"] for teacher in taught),
    )
    board.end(judged, test.pixels)
    kept = training.kept["epoch"]
    write_plots(run.folder, judged, task.data.test[0], training.history, kept)
    took = f"in {wall:.0f} s ({cpu:.0f} s of CPU time)"
    say(task.place, f"{summary(judged)}, {took}.\nPlots and checkpoint: {run.folder}")


def _arrays(part: Part) -> Pictures:
    return part.pixels.numpy(), part.labels.numpy().astype(np.uint8)

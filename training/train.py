"""One training from beginning to end, new or resumed, teachers first.

    recipe, data --teachers, if any--> loop --> kept weights --> finish --> runs/<id>/

The command line and the Python API both use this module.
"""

import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from contract.provenance import git_commit, library_versions
from training.augment import augment
from training.board import PICTURES, Board
from training.checkpoint import Pictures
from training.data import DataSet
from training.evaluate import as_ink, fit_temperature, judge, logits_of
from training.loop import Part, Stopped, Training
from training.model import build, parameters_of
from training.place import Place, place_of, settle
from training.plots import write_plots
from training.pretrained import load_pretrained
from training.progress import Progress
from training.recipe import Recipe
from training.run import BadRun, Checkpoint, Run
from training.task import Task, fingerprint, task_of
from training.watch import Listener, Watch

CALIBRATION = 1000  # images, in the order of `split`, which is a random one


def train_into(
    runs: Path,
    data: DataSet,
    recipe: Recipe,
    *,
    place: Place | None = None,
) -> Run:
    """Train on `data` and leave a finished run, the latest, under `runs`.

    On `place` where it is given, else where the recipe says. Raises BadRecipe for what the data or
    the machine does not allow, before a folder is made; BadRun if the disk has no room, OSError if
    it cannot be written to; Stopped after Ctrl-C, when its `folder` can be gone on with.
    """
    with nullcontext(place) if place else place_of(recipe) as place:
        task = task_of(data, recipe, place)
        network = _network(recipe, task)
        if recipe.pretrained:
            load_pretrained(network, Path(recipe.pretrained), recipe.network)
        run = Run(place.shared(Run.create(runs).folder if place.first else Path()))
        if place.first:
            _check_room(run, recipe, task)
            _write_down(run, recipe, task)
        return _train(run, recipe, task, network)


def resume(run: Run, data: DataSet, *, place: Place | None = None) -> Run:
    """Go on with a run that was stopped, to the weights it would have reached without the stop.

    Raises BadRun if it has ended, if it was trained on other pictures or by another number of
    processes, BadRecipe if its device is not there, Stopped after another Ctrl-C.
    """
    facts = run.facts()
    if run.ended:
        raise BadRun(f"{run.folder} has ended: there is nothing to go on with")
    if facts["data"]["fingerprint"] != fingerprint(data):
        raise BadRun(
            f"{run.folder} was trained on other pictures: {data.source} has the MD5 "
            f"{fingerprint(data)}, the run's data had {facts['data']['fingerprint']}"
        )
    recipe = Recipe.made_of(facts["recipe"])
    with nullcontext(place) if place else place_of(recipe) as place:
        if place.processes != facts["processes"]:
            raise BadRun(
                f"{run.folder} was begun by {facts['processes']} processes, these are "
                f"{place.processes}: go on with {resume_command(run)}"
            )
        task = task_of(data, recipe, place)
        network = _network(recipe, task)
        if recipe.pretrained and not run.begun:
            load_pretrained(network, Path(recipe.pretrained), recipe.network)
        return _train(run, recipe, task, network)


def resume_command(run: Run) -> str:
    """The command that goes on with a stopped run."""
    processes = run.facts()["processes"]
    program = f"torchrun --nproc_per_node={processes} -m" if processes > 1 else "python -m"
    return f"{program} training --resume {run.folder}"


def _train(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> Run:
    place = task.place
    try:
        teachers = [_teacher(run, number, recipe, task) for number in range(1, recipe.teachers + 1)]
        settle(recipe, place.processes)
        training = Training(network, recipe, place, task.train, task.validation, teachers)
        if place.shared(run.begun):
            training.resume_from(run.state())
            place.say(f"Going on with {run.folder} after {training.done}")
        else:
            place.say(_what(run, recipe, task, network))
        if place.first:
            _first_process(run, recipe, task, training, network)
        else:
            with Listener() as listener:
                training.run(listener)
    except Stopped as stopped:  # in this one or in a teacher: what can be gone on with is the whole
        raise Stopped(stopped.reason, run.folder) from stopped
    place.any(False)  # the other processes wait for the first one's files
    return run


def _first_process(
    run: Run, recipe: Recipe, task: Task, training: Training, network: nn.Module
) -> None:
    """Train in sight of the screen, the run folder and TensorBoard, and finish."""
    with Board(run.folder / "tensorboard", epochs_before=len(training.history)) as board:
        if not training.history:
            board.begin(network, _varied(recipe, task))
        run.save(training.state())  # a folder that cannot be written to is found now
        progress = Progress(training.steps, recipe.epochs, recipe.batch_size)
        with Watch(run, progress, board) as watch:
            training.run(watch)
        _finish(run, recipe, task, training, network, board)


def _teacher(run: Run, number: int, recipe: Recipe, task: Task) -> nn.Module:
    """A network trained first, in the run's own folder, with the same data and held-out part."""
    teacher = run.teacher(number)
    if not task.place.shared(teacher.ended):
        task.place.say(f"Teacher {number} of {recipe.teachers}")
        own = recipe.of_teacher(number)
        if task.place.first:
            _write_down(teacher, own, task)
        _train(teacher, own, task, _network(own, task))
    return _placed(teacher.checkpoint().build(), task.place)


def _network(recipe: Recipe, task: Task) -> nn.Module:
    torch.manual_seed(recipe.seed)
    network = build(
        recipe.network,
        classes=len(task.data.labels),
        dropout1=recipe.dropout1,
        dropout2=recipe.dropout2,
        width=recipe.width,
    )
    return _placed(network, task.place)


def _placed(network: nn.Module, place: Place) -> nn.Module:
    # Convolutions over channels-last tensors take half the CPU time.
    placed: nn.Module = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _varied(recipe: Recipe, task: Task) -> Tensor:
    """Training pictures as the network will see them, (n, 1, 28, 28)."""
    random = torch.Generator(task.place.device).manual_seed(recipe.seed)
    return augment(as_ink(task.train.pixels[:PICTURES]).to(task.place.device), recipe, random)


def _check_room(run: Run, recipe: Recipe, task: Task) -> None:
    """For all files of the run and its teachers; BadRun, and no folder, if there is none."""
    recipes = [recipe, *(recipe.of_teacher(number) for number in range(1, recipe.teachers + 1))]
    # Weights, their average, the best and two of the optimiser, twice while a file is replaced.
    weights = sum(parameters_of(_network(each, task)) for each in recipes) * 4 * 10
    pictures = task.data.test[0].nbytes + (task.validation.pixels.nbytes if task.validation else 0)
    try:
        run.check_room(weights + pictures * len(recipes))
    except BadRun:
        run.discard()
        raise


def _write_down(run: Run, recipe: Recipe, task: Task) -> None:
    data = task.data
    run.begin({
        "data": {"wanted": data.wanted, "source": data.source, "fingerprint": fingerprint(data)},
        "recipe": recipe.as_dict(),
        "processes": task.place.processes,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    })  # fmt: skip


def _what(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> str:
    return (
        f"Training {recipe.network} ({parameters_of(network):,} parameters) on {len(task.train):,} "
        f"pictures from {task.data.source},\n{recipe.epochs} epochs on {task.place.name}, "
        f"into {run.folder}"
    )


def _finish(
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
    if task.validation:
        logits = logits_of(network, task.validation.pixels)
        temperature = fit_temperature(logits, task.validation.labels)
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
        _arrays(task.validation) if task.validation else None,
        task.train.pixels[:CALIBRATION].numpy(),
        training.history,
        **judged.measured(),
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
    task.place.say(f"{judged.summary()}, {took}.\nPlots and checkpoint: {run.folder}")


def _arrays(part: Part) -> Pictures:
    return part.pixels.numpy(), part.labels.numpy().astype(np.uint8)

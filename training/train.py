"""One training from beginning to end, new or gone on with, teachers first.

recipe, data --teachers, if any--> loop --> best weights --> finish --> runs/<id>/
"""

import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from training.augment import augment
from training.board import PICTURES, Board
from training.data import DataSet
from training.evaluate import as_ink
from training.finish import Spent, finish
from training.loop import Stopped, Training
from training.machine import settle
from training.model import build, parameters_of
from training.place import Place, place_of
from training.pretrained import load_pretrained
from training.progress import Progress
from training.recipe import Recipe
from training.report import say
from training.run import BadRun, Run
from training.task import Task, fingerprint, task_of
from training.watch import Listener, Watch


def train_into(
    runs: Path,
    data: DataSet,
    recipe: Recipe,
    *,
    run: Run | None = None,
    place: Place | None = None,
) -> Run:
    """Train on `data` and leave a finished run, the latest, under `runs`.

    In the folder of `run` and on `place` where they are given, else in a new one and where the
    recipe says. Raises BadRecipe for what the data or the machine does not allow, before a folder
    is made, and Stopped after Ctrl-C, when the run can be gone on with.
    """
    with nullcontext(place) if place else place_of(recipe) as place:
        task = task_of(data, recipe, place)
        network = _network(recipe, task)
        if recipe.pretrained:
            load_pretrained(network, Path(recipe.pretrained), recipe.network)
        if run is None:
            run = Run(place.shared(Run.create(runs).folder if place.first else Path()))
        if place.first:
            _write_down(run, recipe, data)
        return _train(run, recipe, task, network)


def resume(run: Run, data: DataSet) -> Run:
    """Go on with a run that was stopped, to the weights it would have reached without the stop."""
    facts = run.facts()
    if run.ended:
        raise BadRun(f"{run.folder} has ended: there is nothing to go on with")
    if facts["data"]["fingerprint"] != fingerprint(data):
        raise BadRun(
            f"{run.folder} was trained on other pictures: {data.source} has the MD5 "
            f"{fingerprint(data)}, the run's data had {facts['data']['fingerprint']}"
        )
    recipe = Recipe.made_of(facts["recipe"])
    with place_of(recipe) as place:
        task = task_of(data, recipe, place)
        return _train(run, recipe, task, _network(recipe, task))


def _train(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> Run:
    place = task.place
    settle(recipe, place.processes)
    if place.first:
        # Weights, their average, the best and two of the optimiser, twice while a file is replaced.
        run.check_room(parameters_of(network) * 4 * 10 + task.data.test[0].nbytes)
    try:
        teachers = [_teacher(run, number, recipe, task) for number in range(1, recipe.teachers + 1)]
        training = Training(network, recipe, place, task.learn, task.held_out, teachers)
        if place.shared(run.begun):
            training.go_on_from(run.state())
            say(place, f"Going on with {run.folder} after {training.done}")
        else:
            say(place, _what(run, recipe, task, network))
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
    cpu = time.process_time()
    with Board(run.folder / "tensorboard", epochs_before=len(training.history)) as board:
        if not training.history:
            board.begin(network, _varied(recipe, task))
        run.save(training.state())  # a folder that cannot be written to is found now
        progress = Progress(training.steps, recipe.epochs, recipe.batch_size)
        with Watch(run, progress, board) as watch:
            training.run(watch)
        spent = Spent(training.seconds, time.process_time() - cpu)
        finish(run, recipe, task, training, network, spent, board)


def _teacher(run: Run, number: int, recipe: Recipe, task: Task) -> nn.Module:
    """A network trained first, in the run's own folder, with the same data and held-out part."""
    teacher = run.teacher(number)
    if not task.place.shared(teacher.ended):
        say(task.place, f"Teacher {number} of {recipe.teachers}")
        own = recipe.of_teacher(number)
        if task.place.first:
            _write_down(teacher, own, task.data)
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
    return augment(as_ink(task.learn.pixels[:PICTURES]).to(task.place.device), recipe, random)


def _write_down(run: Run, recipe: Recipe, data: DataSet) -> None:
    facts = {"wanted": data.wanted, "source": data.source, "fingerprint": fingerprint(data)}
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run.begin({"data": facts, "recipe": recipe.as_dict(), "began": began})


def _what(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> str:
    return (
        f"Training {recipe.network} ({parameters_of(network):,} parameters) on {len(task.learn):,} "
        f"pictures from {task.data.source},\n{recipe.epochs} epochs on {task.place.name}, "
        f"into {run.folder}"
    )

"""One training from data to a finished run folder, new or gone on with.

recipe, data --teachers, if any--> --loop--> best weights --calibrate, judge--> runs/<id>/
"""

import hashlib
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from contract.card import DataFacts
from contract.provenance import git_commit, library_versions
from training.augment import augment
from training.board import PICTURES, Board
from training.data import DataSet
from training.evaluate import as_ink, fit_temperature, judge, logits_of
from training.loop import Part, Stopped, Training, split
from training.machine import settle
from training.model import build, parameters_of
from training.place import Place, place_of
from training.plots import write_plots
from training.pretrained import load_pretrained
from training.progress import Progress
from training.recipe import Recipe
from training.report import measured_of, say, summary
from training.run import BadRun, Checkpoint, Run
from training.watch import Listener, Watch


@dataclass(frozen=True)
class Task:
    """What all networks of one training have in common, teachers included."""

    data: DataSet
    learn: Part
    held_out: Part | None
    test: Part
    place: Place


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
        task = _task(data, recipe, place)
        network = _network(recipe, task)
        if run is None:
            run = Run(place.shared(Run.create(runs).folder if place.first else Path()))
        return _to_the_end(run, recipe, task, network)


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
        task = _task(data, recipe, place)
        return _to_the_end(run, recipe, task, _network(recipe, task))


def fingerprint(data: DataSet) -> str:
    """MD5 of all pictures and labels, in order."""
    digest = hashlib.md5(usedforsecurity=False)
    for array in (*data.train, *data.test):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _to_the_end(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> Run:
    try:
        return _train(run, recipe, task, network)
    except Stopped as stopped:  # maybe in a teacher; what can be gone on with is the whole
        raise Stopped(stopped.args[0], run.folder) from stopped


def _train(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> Run:
    place = task.place
    settle(recipe, place.processes)
    if place.first:
        _begin(run, recipe, task, network)
    teachers = [_teacher(run, number, recipe, task) for number in range(1, recipe.teachers + 1)]
    training = Training(network, recipe, place, task.learn, task.held_out, teachers)
    if place.shared(run.begun):
        training.go_on_from(run.state())
        say(place, f"Going on with {run.folder} after {training.done}")
    else:
        say(
            place,
            f"Training {recipe.network} ({parameters_of(network):,} parameters) on "
            f"{len(task.learn):,} pictures from {task.data.source}, {recipe.epochs} epochs on "
            f"{place.name}, into {run.folder}",
        )
    try:
        if place.first:
            _watched(run, recipe, task, training, network)
        else:
            with Listener() as listener:
                training.run(listener)
    except Stopped as stopped:
        raise Stopped(f"stopped after {training.done}") from stopped
    place.any(False)  # the other processes wait for the first one's files
    return run


def _watched(run: Run, recipe: Recipe, task: Task, training: Training, network: nn.Module) -> None:
    """Train, then judge and write; by the first process."""
    clock = time.monotonic() - training.seconds, time.process_time()
    steps, epochs = training.steps, recipe.epochs
    with Board(run.folder / "tensorboard", epochs_before=len(training.history)) as board:
        if not training.history:
            board.begin(network, _varied(recipe, task))
        run.save(training.state())  # a folder that cannot be written to is found now
        with Watch(run, Progress(steps, epochs, recipe.batch_size), board) as watch:
            training.run(watch)
        network.load_state_dict(training.best["weights"])
        network.cpu()
        temperature = 1.0
        if task.held_out:
            logits = logits_of(network, task.held_out.pixels)
            temperature = fit_temperature(logits, task.held_out.labels)
        test = task.test
        judged = judge(network, test.pixels, test.labels, temperature, task.data.labels)
        wall, cpu = time.monotonic() - clock[0], time.process_time() - clock[1]
        board.end(judged, test.pixels)
    write_plots(run.folder, judged, task.data.test[0], training.history)
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe=recipe.as_dict(),
        labels=tuple(task.data.labels),
        temperature=temperature,
        data_set=_facts(task),
        evaluation=judged.evaluation(),
        git_commit=git_commit(),
        libraries=library_versions("torch", "numpy", "scikit-learn"),
    )
    run.finish(
        checkpoint,
        task.data.test,
        training.history,
        **measured_of(judged),
        best_epoch=training.best["epoch"],
        parameters=parameters_of(network),
        device=task.place.name,
        threads=torch.get_num_threads(),
        wall_seconds=wall,
        cpu_seconds=cpu,
    )
    say(task.place, f"{summary(judged)}, in {wall:.0f} s ({cpu:.0f} s of CPU time).\n"
                    f"Plots and checkpoint: {run.folder}")  # fmt: skip


def _begin(run: Run, recipe: Recipe, task: Task, network: nn.Module) -> None:
    data = task.data
    run.begin({
        "data": {"wanted": data.wanted, "source": data.source, "fingerprint": fingerprint(data)},
        "recipe": recipe.as_dict(),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    })  # fmt: skip
    # Weights, their average, the best and two of the optimiser, twice while a file is replaced.
    run.check_room(parameters_of(network) * 4 * 10 + data.test[0].nbytes)


def _network(recipe: Recipe, task: Task) -> nn.Module:
    torch.manual_seed(recipe.seed)
    network = build(
        recipe.network,
        classes=len(task.data.labels),
        dropout1=recipe.dropout1,
        dropout2=recipe.dropout2,
        width=recipe.width,
    )
    if recipe.pretrained:
        load_pretrained(network, Path(recipe.pretrained), recipe.network)
    return _placed(network, task.place)


def _teacher(run: Run, number: int, recipe: Recipe, task: Task) -> nn.Module:
    """A network trained first, in the run's own folder, with the same data and held-out part."""
    teacher = run.teacher(number)
    if not task.place.shared(teacher.ended):
        say(task.place, f"Teacher {number} of {recipe.teachers}")
        own = recipe.of_teacher(number)
        _train(teacher, own, task, _network(own, task))
    return _placed(teacher.checkpoint().build(), task.place)


def _placed(network: nn.Module, place: Place) -> nn.Module:
    # Convolutions over channels-last tensors take half the CPU time.
    placed: nn.Module = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _varied(recipe: Recipe, task: Task) -> Tensor:
    """Training pictures as the network will see them, (n, 1, 28, 28)."""
    random = torch.Generator(task.place.device).manual_seed(recipe.seed)
    return augment(as_ink(task.learn.pixels[:PICTURES]).to(task.place.device), recipe, random)


def _task(data: DataSet, recipe: Recipe, place: Place) -> Task:
    learn, held_out = split(_part(*data.train), recipe)
    return Task(data, learn, held_out, _part(*data.test), place)


def _facts(task: Task) -> DataFacts:
    return DataFacts(
        name=task.data.name,
        source=task.data.source,
        train=len(task.learn),
        validation=len(task.held_out) if task.held_out else 0,
        test=len(task.test),
    )


def _part(pixels: object, labels: object) -> Part:
    return Part(torch.tensor(pixels), torch.tensor(labels).long())

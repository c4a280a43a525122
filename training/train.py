"""One training from data to a finished run folder, new or gone on with.

recipe, data --teachers, if any--> --loop--> best weights --calibrate, judge--> runs/<id>/
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from contract.card import DataFacts
from contract.cores import available_cores
from contract.provenance import git_commit, library_versions
from training.board import write_board
from training.data import DataSet
from training.evaluate import fit_temperature, judge, logits_of
from training.loop import Part, Training, split
from training.model import Network, build, parameters_of
from training.place import Place, place_of
from training.plots import write_plots
from training.pretrained import load_pretrained
from training.recipe import Recipe
from training.report import measured_of, say
from training.run import BadRun, Checkpoint, Run
from training.watch import Watch


@dataclass(frozen=True)
class Parts:
    """A data set as tensors: what is learned from, held out, and judged by."""

    learn: Part
    held_out: Part | None
    test: Part


def train_into(runs: Path, data: DataSet, recipe: Recipe) -> Run:
    """Train on `data` and leave a finished run, the latest, under `runs`."""
    with place_of(recipe) as place:
        parts = _parts(data, recipe)  # refuses before a folder is made
        run = Run(place.shared(Run.create(runs).folder if place.first else Path()))
        return _train(run, data, parts, recipe, place)


def resume(run: Run, data: DataSet) -> Run:
    """Go on with a run that was stopped, to the weights it would have reached."""
    facts = run.facts()
    if run.ended:
        raise BadRun(f"{run.folder} has ended: there is nothing to go on with")
    if facts["data"]["fingerprint"] != fingerprint(data):
        raise BadRun(
            f"{run.folder} was trained on other pictures: {data.source} has the fingerprint "
            f"{fingerprint(data)}, the run's data had {facts['data']['fingerprint']}"
        )
    recipe = Recipe.made_of(facts["recipe"])
    with place_of(recipe) as place:
        return _train(run, data, _parts(data, recipe), recipe, place)


def fingerprint(data: DataSet) -> str:
    """MD5 of all pictures and labels, in order."""
    digest = hashlib.md5(usedforsecurity=False)
    for array in (*data.train, *data.test):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _train(run: Run, data: DataSet, parts: Parts, recipe: Recipe, place: Place) -> Run:
    torch.set_num_threads(recipe.threads or max(1, available_cores() // place.processes))
    network = _network(recipe, len(data.labels), place)
    if place.first:
        _begin(run, data, recipe, network)
    teachers = [
        _teacher(run, number, data, parts, recipe, place)
        for number in range(1, recipe.teachers + 1)
    ]
    wall, cpu = time.monotonic(), time.process_time()
    training = Training(network, recipe, place, parts.learn, parts.held_out, teachers)
    if place.shared(run.begun):
        state = run.state()
        training.go_on_from(state)
        say(place, f"Going on with {run.folder} after epoch {state['epoch']}")
    else:
        say(place, f"Training {recipe.network}, {parameters_of(network):,} parameters, on "
                   f"{len(parts.learn):,} pictures from {data.source}, {recipe.epochs} epochs on "
                   f"{place.name}, into {run.folder}")  # fmt: skip
    with Watch(run if place.first else None, recipe, training.steps) as watch:
        if place.first:
            run.save(training.state())  # a folder that cannot be written to is found now
        training.run(watch)
    if place.first:
        _finish(run, data, parts, recipe, place, network, training, wall, cpu)
    place.any(False)  # the others wait for the files
    return run


def _begin(run: Run, data: DataSet, recipe: Recipe, network: nn.Module) -> None:
    facts = {"name": data.name, "source": data.source, "fingerprint": fingerprint(data)}
    run.begin(
        {"data": facts, "recipe": recipe.as_dict(), "began": time.strftime("%FT%TZ", time.gmtime())}
    )
    # Weights, their average, the best and two of the optimiser, twice while a file is replaced.
    run.check_room(parameters_of(network) * 4 * 10 + data.test[0].nbytes)


def _network(recipe: Recipe, classes: int, place: Place) -> Network:
    torch.manual_seed(recipe.seed)
    network = build(
        recipe.network,
        classes=classes,
        dropout1=recipe.dropout1,
        dropout2=recipe.dropout2,
        width=recipe.width,
    )
    if recipe.pretrained:
        load_pretrained(network, Path(recipe.pretrained), recipe.network)
    return network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _teacher(
    run: Run, number: int, data: DataSet, parts: Parts, recipe: Recipe, place: Place
) -> nn.Module:
    """A bigger network, trained with the same recipe and held-out part into the run's own folder."""
    own = Recipe.made_of(recipe.as_dict(), {
        "network": recipe.teacher_network,
        "width": recipe.teacher_width,
        "epochs": recipe.teacher_epochs,
        "dropout1": None,
        "dropout2": None,
        "learning_rate": None,
        "label_smoothing": 0.0,  # soft labels from a teacher should be its doubts, not ours
        "pretrained": "",
        "teachers": 0,
        "seed": recipe.seed + 1000 * number,
    })  # fmt: skip
    teacher = run.teacher(number)
    if not teacher.ended:
        say(place, f"\nTeacher {number} of {recipe.teachers}")
        _train(teacher, data, parts, own, place)
    network = teacher.checkpoint().build()
    return network.to(place.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def _finish(
    run: Run,
    data: DataSet,
    parts: Parts,
    recipe: Recipe,
    place: Place,
    network: nn.Module,
    training: Training,
    wall: float,
    cpu: float,
) -> None:
    """Calibrate, judge on the test set and write everything; the first process only."""
    network.load_state_dict(training.best["weights"])
    network.cpu()
    temperature = 1.0
    if parts.held_out:
        temperature = fit_temperature(
            logits_of(network, parts.held_out.pixels), parts.held_out.labels
        )
    judged = judge(network, parts.test.pixels, parts.test.labels, temperature, data.labels)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe=recipe.as_dict(),
        labels=tuple(data.labels),
        temperature=temperature,
        data_set=DataFacts(
            name=data.name,
            source=data.source,
            train=len(parts.learn),
            validation=len(parts.held_out) if parts.held_out else 0,
            test=len(parts.test),
        ),
        evaluation=judged.evaluation(),
        git_commit=git_commit(),
        libraries=library_versions("torch", "numpy", "scikit-learn"),
    )
    write_plots(run.folder, judged, data.test[0], training.history)
    write_board(run.folder, network, judged, data.test[0])
    run.finish(
        checkpoint,
        data.test,
        training.history,
        **measured_of(judged),
        best_epoch=training.best["epoch"],
        parameters=parameters_of(network),
        device=place.name,
        threads=torch.get_num_threads(),
        wall_seconds=wall,
        cpu_seconds=cpu,
    )


def _parts(data: DataSet, recipe: Recipe) -> Parts:
    learn, held_out = split(_part(*data.train), recipe)
    return Parts(learn, held_out, _part(*data.test))


def _part(pixels: object, labels: object) -> Part:
    return Part(torch.tensor(pixels), torch.tensor(labels).long())

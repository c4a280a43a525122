"""A whole training, new or resumed, with its teachers first.

    recipe, data --teachers, if any--> loop --> kept weights --> evaluation --> runs/<id>/

The command line and the Python API both use this module.
"""

import sys
import time
from contextlib import nullcontext
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.card import DigitPreparation
from contract.provenance import git_commit, library_versions
from training.also import Also
from training.augment import Transform, augment, transformed
from training.checkpoint import HeldOut, digests, load_pretrained, load_weights
from training.data import DataSet
from training.evaluate import Judged, as_input, fit_temperature, judge, logits_of
from training.letters import Use
from training.listing import counted
from training.loop import Part, Stopped, Training
from training.model import build, in_words, parameters_of
from training.networks.own import BadNetwork
from training.non_digits import HELD_OUT, draw_non_digits
from training.place import Place, configure, place_of
from training.plots import as_seen, write_plots
from training.progress import Epoch, OnEpoch, Progress, Record
from training.recipe import BadRecipe, Recipe
from training.run import BadRun, Checkpoint, Run
from training.task import Task, fingerprint, task_of
from training.watch import IMAGES, Board, Listener, Watch

CALIBRATION = 1000  # images, in the random order of `split`
MEASURED = 2000  # images whose mean and deviation the network normalises by, in that order;
MEASURED_LEVELS = 25_000_000  # fewer of large ones: these take 100 MB as floats


def train_into(
    runs: Path,
    data: DataSet,
    recipe: Recipe,
    *,
    place: Place | None = None,
    transform: Transform | None = None,
    start: Checkpoint | None = None,
    job: str | None = None,
    also: Also | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train on `data` and return the completed run, which is the latest one under `runs`.

    Without `place`, the recipe chooses the device. `transform` augments images in place of the
    recipe's options. `start` has the initial weights. `job` is the retraining job that it belongs
    to, and the run's id. `also` has more images to train on. `on_epoch` is called after each epoch,
    but not for those of teachers. Raises BadRecipe, before a folder is
    created, if the recipe does not suit the data or the machine; BadRun if the disk is full;
    OSError if it cannot be written to; Stopped after Ctrl-C, with the `folder` of a run that can be
    resumed.
    """
    with nullcontext(place) if place else place_of(recipe) as place:
        task = task_of(data, recipe, place, transform, also)
        network = _network(recipe, task)
        if start:
            load_weights(network, start.weights, recipe.network, "the loaded model")
        if recipe.pretrained:
            load_pretrained(network, Path(recipe.pretrained), recipe.network)
        run = Run(place.broadcast(Run.create(runs, job).folder if place.first else Path()))
        if place.first:
            _check_room(run, recipe, task)
            _begin(run, recipe, task, job)
        return _train(run, recipe, task, network, on_epoch)


def resume(
    run: Run,
    data: DataSet,
    *,
    place: Place | None = None,
    transform: Transform | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Resume a run that was stopped. It reaches the weights of an uninterrupted training.

    A run whose weights are final, but which was stopped before its plots were written, gets these.

    Raises BadRun if the run was completed, or was trained on other images, by another number of
    processes or with a transform that is not given; BadRecipe if its device is missing; Stopped
    after another Ctrl-C.
    """
    facts = run.facts()
    if run.completed:
        raise BadRun(f"{run.folder} was completed: there is nothing to resume")
    if facts["data"]["fingerprint"] != fingerprint(data):
        raise BadRun(
            f"{run.folder} was trained on other images: {data.source} has the MD5 "
            f"{fingerprint(data)}, the run's data had {facts['data']['fingerprint']}"
        )
    if facts.get("transform") and transform is None:
        raise BadRun(
            f"{run.folder} was trained with a transform of its own: resume it from Python, with "
            "load_checkpoint and the same transform="
        )
    recipe = Recipe.made_of(facts["recipe"])
    with nullcontext(place) if place else place_of(recipe) as place:
        if place.processes != facts["processes"]:
            raise BadRun(
                f"{run.folder} was begun by {facts['processes']} processes, but there are "
                f"{place.processes} now: resume it with {resume_command(run)}"
            )
        if place.broadcast(run.ended):
            if place.first:
                _report(run, place)
            return run
        task = task_of(data, recipe, place, transform, _saved_also(run, data))
        network = _network(recipe, task)
        if recipe.pretrained and not run.resumable:
            load_pretrained(network, Path(recipe.pretrained), recipe.network)
        return _train(run, recipe, task, network, on_epoch)


def _saved_also(run: Run, data: DataSet) -> Also | None:
    """The images of `--also` as they were when the run began: users may have sent more since."""
    facts = run.facts()["data"].get("also")
    if facts is None:
        return None
    nothing = data.train[0][:0], data.train[1][:0]
    held_out = run.corrections() or HeldOut(*nothing, np.zeros(0, bool))
    unreviewed = facts.get("unreviewed", 0)  # older runs did not count them
    also = Also(tuple(facts["folders"]), run.also() or nothing, held_out, unreviewed)
    if (len(also.train[1]), len(also.held_out[1])) != (facts["train"], facts["held_out"]):
        raise BadRun(f"{run.folder} lacks images of --also that it was trained on: train again")
    return also


def resume_command(run: Run) -> str:
    """The command that resumes a stopped run."""
    processes = run.facts()["processes"]
    program = Path(sys.executable)  # of this environment, also where it is not activated
    if processes > 1:
        program = program.with_name("torchrun")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    how = f" --nproc_per_node={processes}" if processes > 1 else ""
    return f"{program}{how} -m training --resume {run.folder}"


def _train(
    run: Run, recipe: Recipe, task: Task, network: nn.Module, on_epoch: OnEpoch | None = None
) -> Run:
    place = task.place
    try:
        teachers = [_teacher(run, number, recipe, task) for number in range(1, recipe.teachers + 1)]
        configure(recipe, place.processes)
        training = Training(
            network,
            recipe,
            place,
            task.train,
            task.validation,
            teachers,
            task.transform,
            task.non_digits,
        )
        if place.broadcast(run.resumable):
            training.resume_from(run.state())
            place.print(f"Resuming {run.folder} after {training.done}")
        else:
            source = task.data.source + (f" and {task.also.in_words()}" if task.also else "")
            place.print(
                f"Training {recipe.network} ({parameters_of(network):,} parameters) on "
                f"{counted(task.images, 'image')} of {in_words(task.data.shape)} from "
                f"{source},\n"
                f"{counted(recipe.epochs, 'epoch')} in batches of {recipe.batch_size} on "
                f"{place.name}, into {run.folder}"
            )
        if place.first:
            _first_process(run, recipe, task, training, network, on_epoch)
        else:
            with Listener() as listener:
                training.run(listener)
    except Stopped as stopped:  # also if a teacher was stopped: the whole training is resumed
        raise Stopped(stopped.reason, run.folder) from stopped
    except KeyboardInterrupt as error:
        raise Stopped("stopped at once; the last saved state is kept", run.folder) from error
    except OSError as error:  # of writing to the run's folder, which is all that is written to
        if run.number is not None:
            raise  # the whole training is resumed, not its teacher
        raise BadRun(
            f"the training stopped: {run.folder} cannot be written to ({_reason(error)}). "
            f"If the disk is full, free some space, then resume it with: {resume_command(run)}"
        ) from error
    place.any(False)  # further processes wait until the first one has written its files
    return run


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


def _first_process(
    run: Run,
    recipe: Recipe,
    task: Task,
    training: Training,
    network: nn.Module,
    on_epoch: OnEpoch | None,
) -> None:
    """Train with progress on the screen, in the run folder and in TensorBoard, and finish."""
    with Board(
        run.folder / "tensorboard",
        epochs_before=len(training.history),
        inverted=isinstance(task.data.preparation, DigitPreparation),
    ) as board:
        if not training.history:
            board.begin(network, _augmented_examples(recipe, task))
        run.save(training.state())  # detects a folder that cannot be written to
        progress = Progress(training.steps, recipe.epochs, recipe.batch_size)
        record = Record(
            run.progress,
            training,
            steps=training.steps,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            device=str(task.place.device),
            teacher=run.number,
        )
        with Watch(run, progress, record, board, on_epoch) as watch:
            training.run(watch)
        _finish(run, recipe, task, training, network, board)


def _augmented_examples(recipe: Recipe, task: Task) -> Tensor:
    images = as_input(task.train.pixels[:IMAGES]).to(task.place.device)
    if task.transform:
        return transformed(images, task.transform)
    return augment(images, recipe, torch.Generator(task.place.device).manual_seed(recipe.seed))


def _teacher(run: Run, number: int, recipe: Recipe, task: Task) -> nn.Module:
    """A network that is trained first, in the run's folder, with the same data."""
    teacher = run.teacher(number)
    if not task.place.broadcast(teacher.ended):
        task.place.print(f"Teacher {number} of {recipe.teachers}")
        own = recipe.of_teacher(number)
        if task.place.first:
            _begin(teacher, own, task)
        _train(teacher, own, task, _network(own, task))
    elif task.place.first and not teacher.completed:
        _report(teacher, task.place)
    return _placed(teacher.checkpoint().build(), task.place)


def _network(recipe: Recipe, task: Task) -> nn.Module:
    """The network with initial weights; BadRecipe if it does not suit the images."""
    torch.manual_seed(recipe.seed)
    try:
        network = build(
            recipe.network,
            classes=len(task.data.labels),
            shape=task.data.shape,
            dropout1=recipe.dropout1,
            dropout2=recipe.dropout2,
            width=recipe.width,
            hidden_size=recipe.hidden_size,
            mirror=recipe.mirror,
            none_class=recipe.non_digits > 0,
        )
    except BadNetwork as error:
        raise BadRecipe(f"--network: {error}") from error
    measured = max(1, min(MEASURED, MEASURED_LEVELS // prod(task.data.shape)))
    network.normalise_by(as_input(task.train.pixels[:measured]))
    return _placed(network, task.place)


def _placed(network: nn.Module, place: Place) -> nn.Module:
    # Convolutions over channels-last tensors take half the CPU time.
    placed: nn.Module = network.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _check_room(run: Run, recipe: Recipe, task: Task) -> None:
    """Remove the run and raise BadRun if its files and its teachers' do not fit the disk."""
    recipes = [recipe, *(recipe.of_teacher(number) for number in range(1, recipe.teachers + 1))]
    # Weights, average, best weights and two of the optimiser, twice while a file is replaced.
    weights = sum(parameters_of(_network(each, task)) for each in recipes) * 4 * 10
    images = task.data.test[0].nbytes + (task.validation.pixels.nbytes if task.validation else 0)
    if task.also:
        images += task.also.train[0].nbytes + task.also.held_out[0].nbytes
    try:
        run.check_room(weights + images * len(recipes))
    except BadRun:
        if not any(run.folder.iterdir()):  # that of a job holds the job's log
            run.discard()
        raise


def _begin(run: Run, recipe: Recipe, task: Task, job: str | None = None) -> None:
    data, also = task.data, task.also
    facts = {
        "data": {
            "wanted": data.wanted,
            "source": data.source,
            "fingerprint": fingerprint(data),
            "reading": data.reading.model_dump(mode="json"),
            "also": also and also.facts(),
        },
        "recipe": recipe.as_dict(),
        "processes": task.place.processes,
        "transform": None if task.transform is None else repr(task.transform),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "job": job,
    }
    if also and run.number is None:  # those of teachers are the same
        run.begin(facts, also.train, also.held_out)
    else:
        run.begin(facts)


def _finish(
    run: Run, recipe: Recipe, task: Task, training: Training, network: nn.Module, board: Board
) -> None:
    """Complete the run: evaluate the kept weights and write all files."""
    network.load_state_dict(training.kept["weights"])
    network.cpu()
    temperature = 1.0
    if task.validation:
        logits = logits_of(network, task.validation.pixels)
        temperature = fit_temperature(logits, task.validation.labels)
    test = task.test
    judged = judge(network, test.pixels, test.labels, temperature, task.data.labels)
    wall, cpu = training.seconds, training.cpu_seconds
    teachers = [run.teacher(number).metrics() for number in range(1, recipe.teachers + 1)]
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe=recipe.as_dict(),
        labels=tuple(task.data.labels),
        preparation=task.data.preparation,
        shape=task.data.shape,
        temperature=temperature,
        data_set=task.facts,
        evaluation=judged.evaluation(),
        git_commit=git_commit(),
        libraries=library_versions("torch", "numpy", "scikit-learn"),
    )
    run.complete(
        checkpoint,
        task.data.test,
        task.validation.arrays() if task.validation else None,
        task.train.pixels[:CALIBRATION].numpy(),
        _trained_on(task),
        training.history,
        None if task.non_digits is None else _held_out_non_digits(task),
        **judged.measured(),
        best_epoch=training.best["epoch"],  # by validation loss
        kept_epoch=training.kept["epoch"],
        parameters=parameters_of(network),
        device=task.place.name,
        threads=torch.get_num_threads(),
        wall_seconds=wall,
        cpu_seconds=cpu,  # of the first process, without interruptions and teachers
        teachers_wall_seconds=sum(teacher["wall_seconds"] for teacher in teachers),
        teachers_cpu_seconds=sum(teacher["cpu_seconds"] for teacher in teachers),
    )
    board.end(judged, test.pixels)
    _report(run, task.place, judged)


def _held_out_non_digits(task: Task) -> list[NDArray[np.uint8]] | None:
    """Those by which export finds the threshold, and those by which it measures the effect."""
    if task.validation is None:
        return None
    parts: tuple[tuple[Use, Part], ...] = ("validation", task.validation), ("test", task.test)
    return [draw_non_digits(HELD_OUT, use, part.arrays()).pixels for use, part in parts]


def _trained_on(task: Task) -> list[bytes]:
    """Digests of the training and validation images, and of those of `--also`."""
    also = task.also.train[0] if task.also else task.data.train[0][:0]
    return [*digests(task.data.train[0]), *digests(also)]


def _report(run: Run, place: Place, judged: Judged | None = None) -> None:
    """Write what follows the checkpoint: runs/latest and the plots. A summary is printed."""
    run.make_latest()
    checkpoint, (pixels, labels), metrics = run.checkpoint(), run.test_set(), run.metrics()
    if judged is None:
        test = torch.tensor(pixels), torch.tensor(labels).long()
        judged = judge(checkpoint.build(), *test, checkpoint.temperature, checkpoint.labels)
    history = [Epoch(**epoch) for epoch in metrics["history"]]
    shown = as_seen(pixels, checkpoint.preparation)
    write_plots(run.folder, judged, shown, history, metrics["kept_epoch"])
    took = f"in {metrics['wall_seconds']:.0f} s ({metrics['cpu_seconds']:.0f} s of CPU time)"
    place.print(f"{judged.summary()}, {took}.\nPlots and checkpoint: {run.folder}")

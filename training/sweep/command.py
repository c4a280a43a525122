"""The command `python -m training sweep`."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter
from torch import distributed

from contract.command_line import add_version
from contract.jobs import JobId
from training.commands import BadSweep
from training.flags import Options, checked_options, data_and_options, parser
from training.place import place_of
from training.recipe import BadRecipe, Recipe, flag
from training.sweep.report import in_words, write_report
from training.sweep.space import Space, check_space, default_space, read_space
from training.sweep.study import PRUNERS, failures, open_study, pruner_of
from training.sweep.trial import REASON, SURPLUS, Failed, Objective, begun, recover

FOLDER = "sweep"  # in the folder of runs
FIRST = 3  # trials that may fail before any succeeds: then all will

DESCRIPTION = """Search for the best recipe: many trainings, whose worst are stopped early.

python -m training sweep --data digits --epochs 8 --trials 30 --search learning_rate=1e-2:0.5:log
    batch_size=32,64,128 network=compact,deep width=0.5:1.5

All flags of `python -m training` that are not listed here are those of every trial. What is
maximised is the accuracy on the validation images, never on the test images. The same command
continues a sweep that was stopped, or takes part in one that another process or machine runs.
"""


@dataclass(frozen=True)
class Sweep:
    """What the command line asks for."""

    name: str
    folder: Path
    words: Sequence[str]  # flags of every training
    layers: Sequence[Options]  # the recipe of every training: of the preset, and given
    space: Space
    search: Sequence[str]  # its description
    trials: int
    timeout: float | None  # seconds
    storage: str | None
    pruner: str
    startup: int
    seed: int | None


def run(words: Sequence[str]) -> None:
    """Run trials until there are enough, and report the best recipe.

    Raises BadRecipe, BadData or BadSweep before a trial begins, and KeyboardInterrupt.
    """
    wanted = _read(words)
    recipe = Recipe.made_of(*wanted.layers)
    study = open_study(
        wanted.name,
        wanted.storage,
        wanted.folder,
        flags={"search": sorted(wanted.search), "training": list(wanted.words)},
        pruner=pruner_of(wanted.pruner, recipe.epochs, wanted.startup),
        seed=wanted.seed,
    )
    with failures(wanted.storage):
        try:
            _run(study, wanted)
        except KeyboardInterrupt:
            write_report(study, wanted.folder, wanted.words)
            print("The same command continues the sweep.", file=sys.stderr)
            raise
        write_report(study, wanted.folder, wanted.words)


def _run(study: Study, wanted: Sweep) -> None:
    objective = Objective(wanted.folder, wanted.words, wanted.layers, wanted.space, wanted.trials)
    end = monotonic() + wanted.timeout if wanted.timeout else None
    while end is None or monotonic() < end:
        recover(study, wanted.folder)
        if len(begun(study)) >= wanted.trials:
            return
        study.optimize(objective, n_trials=1, catch=(Failed,), callbacks=[_print])
        _check_failures(study)
    print(f"After {wanted.timeout:g} s (--timeout), no further trial begins.", file=sys.stderr)


def _print(study: Study, trial: FrozenTrial) -> None:
    """One line about a trial that ended."""
    if SURPLUS in trial.user_attrs:
        return
    options = in_words(trial.params)
    if trial.state == TrialState.COMPLETE:
        best = study.best_trial
        end = f"{trial.value:.2%}, best so far: {best.value:.2%} in trial {best.number}"
    elif trial.state == TrialState.PRUNED:
        end = f"stopped after epoch {trial.last_step}, worse than other trials"
    else:
        end = f"failed: {trial.user_attrs.get(REASON)}"
    print(f"Trial {trial.number}: {end}\n  {options}", file=sys.stderr, flush=True)


def _check_failures(study: Study) -> None:
    """BadSweep if no trial succeeds: more of them would fail in the same way."""
    trials = begun(study)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if len(failed) == len(trials) and len(failed) >= FIRST:
        raise BadSweep(f"all trials failed, the last one: {failed[-1].user_attrs.get(REASON)}")


def _read(words: Sequence[str]) -> Sweep:
    flags = _parser()
    own, rest = flags.parse_known_args(words)
    training = parser(None)
    training.prog, training.usage, training.beside = flags.prog, flags.usage, (flags,)
    arguments = training.parse_args(rest)
    if arguments.resume or arguments.job:
        raise BadRecipe("--resume and --job are for a single training: each trial has its own run")
    if distributed.is_torchelastic_launched():
        raise BadRecipe("sweep starts the trainings itself: run it without torchrun")
    preset, given = checked_options(arguments)
    with place_of(Recipe.made_of(preset, given)) as place:  # reports a device that is missing
        _, options = data_and_options(arguments, place)
    layers = (options, given)
    recipe = Recipe.made_of(*layers)
    recipe.check_use(given)
    if recipe.validation == 0:
        raise BadRecipe("--validation is 0: trials are judged by the validation images")
    space = read_space(own.search) if own.search else default_space(recipe, given)
    for name in space:
        if name in given:
            raise BadRecipe(f"{flag(name)} is given and searched: omit one")
    check_space(space, layers)
    if "epochs" in space and own.pruner not in (None, "none"):
        raise BadRecipe(
            "--pruner compares trials at the same epoch, so all need the same --epochs: "
            "omit the pruner, or epochs in --search"
        )
    return Sweep(
        name=own.name,
        folder=own.runs / FOLDER / own.name,
        words=rest,
        layers=layers,
        space=space,
        search=own.search or ["default"],
        trials=own.trials,
        timeout=own.timeout,
        storage=own.storage,
        pruner=own.pruner or ("none" if "epochs" in space else "median"),
        startup=own.startup_trials,
        seed=own.sampler_seed,
    )


def _parser() -> ArgumentParser:
    flags = ArgumentParser(
        "python -m training sweep",
        usage="python -m training sweep [--help] [--version] [--SWEEP-FLAG VALUE ...] "
        "[--TRAINING-FLAG VALUE ...]",
        description=DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(flags)
    flags.add_argument(
        "--search",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUES",
        help="options of the recipe, as LOW:HIGH, LOW:HIGH:log or VALUE,VALUE,... (default: "
        "learning_rate from a tenth to five times that of the recipe, batch_size=32,64,128,256 and "
        "label_smoothing=0:0.2)",
    )
    flags.add_argument(
        "--trials",
        type=_positive(int),
        default=20,
        metavar="N",
        help="of all processes together (default: 20)",
    )
    flags.add_argument(
        "--timeout",
        type=_positive(float),
        metavar="SECONDS",
        help="after which this process begins no further trial",
    )
    flags.add_argument(
        "--name", type=_name, default="default", help="of the sweep (default: default)"
    )
    flags.add_argument(
        "--storage",
        metavar="FILE or URL",
        help="where the processes share the trials: a file that all see, or "
        "postgresql://user@host/database, with the password in PGPASSWORD (default: "
        "RUNS/sweep/NAME/journal.log)",
    )
    flags.add_argument(
        "--pruner",
        choices=PRUNERS,
        help="rule by which bad trials are stopped early (default: median, or none if epochs are "
        "searched)",
    )
    flags.add_argument(
        "--startup-trials",
        type=_positive(int),
        default=5,
        metavar="N",
        help="completed trials from which the median is taken, at least (default: 5)",
    )
    flags.add_argument(
        "--sampler-seed",
        type=int,
        metavar="N",
        help="one process that begins a sweep with it proposes the same first trials again",
    )
    flags.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs"
    )
    return flags


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def read(word: str) -> float:
        number = kind(word)
        if not 0 < number < inf:
            raise ValueError
        return number

    read.__name__ = "positive number"  # in argparse's message
    return read


def _name(word: str) -> str:
    try:
        return TypeAdapter(JobId).validate_python(word)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{word!r} is not a name: letters, digits, '_' and '-', at most 64"
        ) from error

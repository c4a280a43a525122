"""One trial: a training with the options of the trial, as a process of its own.

    runs/sweep/<name>/trial-<n>/             the run folder, with log.txt of the program
                                sweep-<m>    locked while the process lives that runs trial <m>

The training stops with SIGINT when its validation accuracy is worse than that of other trials, so
that the run folder stays whole. A trial whose process is interrupted or dies is queued again as
trial <m>, which resumes the same run.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from optuna import Study, Trial, TrialPruned
from optuna.trial import FrozenTrial, TrialState, create_trial

from contract import programs
from training.flags import Options
from training.progress import Epoch
from training.recipe import BadRecipe
from training.run import EPOCHS, Run
from training.settings import environment
from training.sweep.space import Space, flags_of, suggest

RUN = "run"  # attributes of a trial: the name of its run folder,
REASON = "reason"  # why it failed,
CONTINUES = "continues"  # the number of the trial whose training it resumes,
SURPLUS = "surplus"  # another process had begun the last one of `--trials`,
DEATHS = "deaths"  # how many processes died that ran it
MOST_DEATHS = 3  # after which a trial counts as failed
UNNAMED = 60  # seconds after which a trial without a run folder has no process


class Failed(Exception):
    """The training of a trial failed; the message says why."""


@dataclass(frozen=True)
class Objective:
    """Trains with the options of a trial; the validation accuracy of the kept weights, 0..1."""

    folder: Path  # of the sweep
    words: Sequence[str]  # flags of all trainings
    layers: Sequence[Options]  # the recipe of all trainings
    space: Space
    trials: int  # of all processes together

    def __call__(self, trial: Trial) -> float:
        """Raises TrialPruned, Failed, or KeyboardInterrupt after the trial was queued again."""
        if sum(other.number < trial.number for other in begun(trial.study)) >= self.trials:
            trial.set_user_attr(SURPLUS, True)  # two processes began one at the same time
            raise Failed("there are enough trials")
        name = trial.user_attrs.get(RUN, f"trial-{trial.number}")
        run = Run(self.folder / name)
        run.folder.mkdir(parents=True, exist_ok=True)
        with _locked(run.folder, trial.number):
            trial.set_user_attr(RUN, name)
            try:
                return self._train(trial, run)
            except (Failed, BadRecipe) as error:
                trial.set_user_attr(REASON, str(error))
                raise Failed(str(error)) from error
            except KeyboardInterrupt:
                queue_again(trial.study, trial)
                raise

    def _train(self, trial: Trial, run: Run) -> float:
        words = flags_of(suggest(trial, self.space, self.layers))
        new = [*self.words, *words, "--runs", str(self.folder), "--job", run.id]
        watch = _Watch(trial, run)
        if not run.completed:
            try:
                resumed = ["--resume", str(run.folder)]
                code = programs.run(
                    lambda: ["training", *(resumed if run.has_facts else new)],
                    run.folder,
                    environment(),
                    stop_requested=watch.is_worse,
                    report=lambda *_: None,
                    priority=(),
                )
            except programs.Interrupted:
                raise TrialPruned from None
            except programs.StillRunning as error:
                raise Failed(str(error)) from error
            if code and not run.completed:
                raise Failed(programs.reason(run.folder, "training", code))
        watch.is_worse()  # reports the last epochs
        metrics = run.metrics()
        accuracy = metrics["history"][metrics["kept_epoch"] - 1]["validation_accuracy"]
        if accuracy is None:
            raise Failed("the training has no validation images: --validation is too small")
        return float(accuracy)


class _Watch:
    """Reports the epochs of a run to the study, each once."""

    def __init__(self, trial: Trial, run: Run) -> None:
        self._trial, self._run = trial, run
        self._reported = 0

    def is_worse(self) -> bool:
        """Whether there is a new epoch, and the training should stop after it."""
        try:
            lines = (self._run.folder / EPOCHS).read_text().splitlines()
        except FileNotFoundError:
            return False
        new = [Epoch(**json.loads(line)) for line in lines[self._reported :]]
        for epoch in new:
            if epoch.validation_accuracy is not None:
                self._trial.report(epoch.validation_accuracy, epoch.epoch)
        self._reported = len(lines)
        return bool(new) and not self._run.ended and self._trial.should_prune()


def begun(study: Study) -> list[FrozenTrial]:
    """The trials that run or ended, of those that were queued again only the last ones."""
    trials = study.get_trials(deepcopy=False)
    left_out = {trial.user_attrs.get(CONTINUES) for trial in trials}
    left_out |= {trial.number for trial in trials if SURPLUS in trial.user_attrs}
    return [
        trial
        for trial in trials
        if trial.number not in left_out and trial.state != TrialState.WAITING
    ]


def queue_again(study: Study, trial: Trial | FrozenTrial, deaths: int = 0) -> None:
    """Add a trial that resumes the training of `trial`, which ends."""
    study.add_trial(
        create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**trial.user_attrs, CONTINUES: trial.number, DEATHS: deaths},
        )
    )


def recover(study: Study, folder: Path) -> None:
    """Queue trials again whose process died, as far as their run folders are visible here."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if RUN not in trial.user_attrs:  # a process that lives sets it at once
            assert trial.datetime_start is not None
            if (datetime.now() - trial.datetime_start).total_seconds() > UNNAMED:
                _end(study, trial)
            continue
        path = folder / trial.user_attrs[RUN] / _lock_name(trial.number)
        with suppress(FileNotFoundError, BlockingIOError), path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end(study, trial)
            path.unlink()


def _end(study: Study, trial: FrozenTrial) -> None:
    with suppress(ValueError):  # another process was faster
        study.tell(trial.number, state=TrialState.FAIL)
        died(study, trial)


def died(study: Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose process died, unless that happened too often."""
    deaths = trial.user_attrs.get(DEATHS, 0) + 1
    if deaths < MOST_DEATHS:
        queue_again(study, trial, deaths)


@contextmanager
def _locked(folder: Path, number: int) -> Iterator[None]:
    """Hold a lock that other processes see as soon as it is held, and until this process ends."""
    path = folder / _lock_name(number)
    draft = path.with_suffix(f".{os.getpid()}")
    with draft.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock_name(number: int) -> str:
    return f"sweep-{number}"

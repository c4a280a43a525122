"""`python -m training sweep` finds the best recipe, in several processes and over interruptions."""

import csv
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.retraining.postgres import PASSWORD, PROGRAMS, Postgres
from tests.support.waiting import until
from training.__main__ import main
from training.flags import parser
from training.recipe import Recipe
from training.run import Run

ROOT = Path(__file__).parent.parent.parent
# A training of a second: what takes long is to start the program and to draw its plots.
QUICK = ["--preset", "quick", "--batch-size", "32", "--threads", "1", "--validation", "0.2"]
RATES = ["--search", "learning_rate=1e-3:1e-2:log"]
NO_TRIAL = ["--timeout", "1e-9"]
LONGEST = 240.0  # seconds; a training takes ten, but machines may be busy


def command(folder: Path, data: Path, *words: str) -> list[str]:
    flags = ["--runs", str(folder), "--data", str(data), *QUICK, *words]
    return [sys.executable, "-m", "training", "sweep", *flags]


@contextmanager
def sweep(folder: Path, data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process, which is killed if the test fails."""
    with subprocess.Popen(
        command(folder, data, *words), cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(process: subprocess.Popen[str]) -> str:
    """What a sweep that succeeds has printed about its trials."""
    _, printed = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, printed
    return printed


def trials_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep/default/trials.csv").open() as file:
        return list(csv.DictReader(file))


def best_of(folder: Path) -> dict[str, Any]:
    best: dict[str, Any] = json.loads((folder / "sweep/default/best.json").read_text())
    return best


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--search", "learning_rat=1:2"], "did you mean learning_rate?"),
        (["--search", "epochs=3:4:5"], "write NAME=LOW:HIGH"),
        (["--search", "epochs"], "--search epochs: write NAME=LOW:HIGH"),
        (["--search", "epochs=3.5:5"], "--epochs is '3.5', it must be a whole number from 1"),
        (["--search", "epochs=5:3"], "5 is not less than 3"),
        (["--search", "rotation=0:10:log"], "a logarithmic scale begins above 0"),
        (["--search", "rotation=0:100"], "--rotation is 100.0, it must be 0 to 45"),
        (["--search", "network=compact,huge"], "--network: network is 'huge'"),
        (["--search", "mirror=maybe"], "'maybe' is neither yes nor no"),
        (
            ["--search", "momentum=0.8:0.9", "--optimiser", "adam"],
            "--momentum has an effect only with --optimiser sgd",
        ),
        (["--search", "hidden_size=64:128"], "--hidden-size is 64, but compact has no hidden"),
        (["--search", "validation=0.1:0.2"], "all trials must be judged by the same images"),
        (["--search", "epochs=2,3", "epochs=4,5"], "--search has epochs twice"),
        (["--search", "batch_size=32,64"], "--batch-size is given and searched"),
        (["--search", "epochs=2:4", "--pruner", "median"], "all need the same --epochs"),
        (["--validation", "0"], "--validation is 0: trials are judged by"),
        (["--resume", "run"], "--resume and --job are for a single training"),
        (["--data", "no/such/folder"], "no folder, file or data set no/such/folder"),
        (["--storage", "redis://host"], "--storage redis://host: write the path of a file or"),
        (["--storage", "pyproject.toml"], "pyproject.toml is not a journal of Optuna"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_invalid_argument_is_rejected_and_leaves_no_run(
    words: list[str], message: str, small_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = command(tmp_path / "runs", small_folder, *words)[3:]
    assert main(given) == 2
    assert message in capsys.readouterr().err
    assert not [*tmp_path.rglob("trial-*")]


@pytest.mark.parametrize(
    ("flag", "hint"), [("--trails", "--trials"), ("--sampler-sed", "--sampler-seed"),
                       ("--epoch-", "--epochs")],
)  # fmt: skip
def test_a_misspelt_flag_of_a_sweep_or_of_its_trainings_is_named(
    flag: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", flag, "3"])
    assert f"unrecognized arguments: {flag} 3, did you mean {hint}?" in capsys.readouterr().err


def test_the_help_of_a_sweep_has_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    assert "print the version of digitserve" in capsys.readouterr().out


def test_a_sweep_with_other_flags_needs_another_name(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def begin(*words: str) -> int:
        return main(command(tmp_path, small_folder, *words, *NO_TRIAL)[3:])

    assert begin(*RATES) == 0
    assert begin("--search", "learning_rate=1e-3:1e-1:log") == 2
    assert (
        "the sweep default was begun with other flags (--search learning_rate=1e-3:1e-2:log "
        in (capsys.readouterr().err)
    )
    assert begin(*RATES, "--rotation", "3") == 2
    assert begin(*RATES, "--rotation", "3", "--name", "rotated") == 0
    assert begin(*RATES, "--trials", "50") == 0


def test_the_error_about_a_line_of_the_journal_that_was_cut_off_names_it(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = command(tmp_path, small_folder, *RATES, *NO_TRIAL)[3:]
    assert main(given) == 0
    journal = tmp_path / "sweep/default/journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id"')
    assert main(given) == 2
    line = whole.count(b"\n") + 1
    error = capsys.readouterr().err
    assert f"--storage {journal}: line {line} was not written completely" in error
    assert "Delete that line" in error
    journal.write_bytes(whole)
    assert main(given) == 0


def test_without_optuna_the_error_names_the_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("training.sweep")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep"]) == 2
    assert "sweep needs Optuna: install the dependency group sweep" in capsys.readouterr().err


def test_a_database_that_is_absent_is_named_without_its_password(
    small_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = f"postgresql://ann:{PASSWORD[:8]}@127.0.0.1:1/sweeps"
    assert main(command(tmp_path, small_folder, "--storage", storage)[3:]) == 2
    error = capsys.readouterr().err
    assert "--storage postgresql://ann:***@127.0.0.1:1/sweeps is not available: conn" in error
    assert PASSWORD[:8] not in error


@pytest.mark.slow
def test_two_processes_share_the_trials_of_one_journal(small_folder: Path, tmp_path: Path) -> None:
    words = ["--trials", "3", "--search", "network=compact,mlp", "width=0.5:1", "mirror=yes,no"]
    with sweep(tmp_path, small_folder, *words) as one, sweep(tmp_path, small_folder, *words) as two:
        printed = [finished(process) for process in (one, two)]
    trials = trials_of(tmp_path)
    assert [trial["state"] for trial in trials] == ["completed"] * 3
    for trial in trials:
        assert Run(tmp_path / "sweep/default" / trial["run"]).completed
        assert (trial["network"] == "compact") == bool(trial.get("width"))  # fixed for mlp
        assert sum(f"Trial {trial['trial']}: " in text for text in printed) == 1

    best = best_of(tmp_path)
    highest = max(float(trial["validation_accuracy"]) for trial in trials)
    metrics = Run(Path(best["run"])).metrics()
    kept = metrics["history"][metrics["kept_epoch"] - 1]
    assert best["validation_accuracy"] == highest == kept["validation_accuracy"]
    *_, program, module = shlex.split(best["command"])[:3]
    assert (program, module) == ("-m", "training")
    given = Recipe.given_in(parser(None).parse_args(shlex.split(best["command"])[3:]))
    assert given.items() <= metrics["recipe"].items()
    plots = {"history.png", "options.png", "importance.png"}
    assert plots <= {path.name for path in (tmp_path / "sweep/default").iterdir()}

    with sweep(tmp_path, small_folder, *words) as third:
        assert "Trial" not in finished(third)
    assert trials_of(tmp_path) == trials


@pytest.mark.slow
def test_a_bad_trial_is_stopped_early_and_its_run_can_be_resumed(
    small_folder: Path, tmp_path: Path
) -> None:
    words = [
        *("--search", "learning_rate=1e-6,0.01", "--epochs", "20", "--trials", "2"),
        *("--startup-trials", "1", "--sampler-seed", "0"),  # the second trial is the bad one
    ]
    with sweep(tmp_path, small_folder, *words) as process:
        assert "stopped after epoch" in finished(process)
    trials = trials_of(tmp_path)
    assert {trial["learning_rate"] for trial in trials if trial["state"] == "completed"} == {"0.01"}
    stopped = next(trial for trial in trials if trial["state"] == "stopped early")
    run = Run(tmp_path / "sweep/default" / stopped["run"])
    assert 0 < len((run.folder / "metrics.jsonl").read_text().splitlines()) < 20
    assert not run.ended
    assert main(["--resume", str(run.folder)]) == 0
    assert run.ended


@pytest.mark.slow
def test_the_same_command_continues_a_sweep_that_was_interrupted_or_killed(
    small_folder: Path, tmp_path: Path
) -> None:
    words = [*RATES, "--epochs", "300", "--trials", "1"]
    run = Run(tmp_path / "sweep/default/trial-0")

    def epochs() -> list[str]:
        file = run.folder / "metrics.jsonl"
        return file.read_text().splitlines() if file.exists() else []

    with sweep(tmp_path, small_folder, *words) as interrupted:
        until(epochs, LONGEST)
        interrupted.send_signal(signal.SIGINT)
        _, printed = interrupted.communicate(timeout=LONGEST)
    assert interrupted.returncode == 130
    assert "The same command continues the sweep." in printed

    before = epochs()
    with sweep(tmp_path, small_folder, *words) as killed:
        until(lambda: len(epochs()) > len(before), LONGEST)
        killed.kill()  # its training goes on, and is resumed by the next process

    with sweep(tmp_path, small_folder, *words) as last:
        finished(last)
    (trial,) = trials_of(tmp_path)
    assert (trial["state"], trial["run"]) == ("completed", "trial-0")
    assert run.completed
    assert len(epochs()) == 300
    assert epochs()[: len(before)] == before
    assert (run.folder / "log.txt").read_text().count("Resuming") == 2


@pytest.mark.slow
def test_a_sweep_ends_if_all_trials_fail(small_folder: Path, tmp_path: Path) -> None:
    words = ["--search", "learning_rate=1e-3:1e-2", "--pretrained", str(tmp_path / "absent.pt")]
    with sweep(tmp_path, small_folder, *words) as failing:
        _, printed = failing.communicate(timeout=LONGEST)
    assert failing.returncode == 2
    assert "all trials failed, the last one: training: " in printed
    assert "absent.pt does not exist" in printed


@pytest.mark.slow
@pytest.mark.skipif(PROGRAMS is None, reason="needs Postgres (Debian: apt install postgresql)")
def test_processes_share_the_trials_in_postgres(small_folder: Path, tmp_path: Path) -> None:
    """Each machine has a disk of its own: only the trials are shared."""
    with Postgres.started() as postgres:
        words = [*RATES, "--trials", "3", "--storage", postgres.url]
        machines = [tmp_path / "one", tmp_path / "two"]
        with ExitStack() as running:
            processes = [
                running.enter_context(sweep(machine, small_folder, *words)) for machine in machines
            ]
            printed = "".join(finished(process) for process in processes)
    assert PASSWORD not in printed
    runs = {run.name for machine in machines for run in machine.glob("sweep/default/trial-*")}
    assert runs == {"trial-0", "trial-1", "trial-2"}
    assert [*tmp_path.rglob("journal.log")] == []

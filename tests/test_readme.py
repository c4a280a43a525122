"""The README is short, and the documents name only what exists."""

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.run import get_args_parser

from contract.__main__ import main as contract_main
from contract.version import Version
from export.__main__ import main as export_main
from loadtest.__main__ import main as loadtest_main
from loadtest.bench_gpu.__main__ import main as bench_gpu_main
from loadtest.capacity.__main__ import main as capacity_main
from loadtest.soak.__main__ import main as soak_main
from service.engine.benchmark import main as speed_main
from service.settings import Settings
from training.__main__ import main
from training.api import MNISTClassifier
from training.data import NAMES
from training.model import NETWORKS, build, parameters_of
from training.presets import PRESETS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/explanation/architecture.md").read_text()


def test_the_readme_has_at_most_1200_words() -> None:
    assert len(README.split()) <= 1200


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake [a-z ]*[a-z]", README))))
def test_every_make_target_exists(command: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = command.split()[1:]
    known = [word for word in words if word in targets]
    assert known[:1] == words[:1]


def test_the_architecture_lists_the_existing_packages() -> None:
    reported = set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert reported == packages


def dry_run(*words: str) -> str:
    """The commands of a make target for a model that does not exist yet."""
    command = ["make", "--dry-run", *words, "MODEL=absent"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_demo_trains_quickly_and_says_how_to_train_better() -> None:
    demo = dry_run("demo")
    assert "-m training --preset quick" in demo
    assert "make train export" in demo.partition("-m export")[2].partition("-m service")[0]


@pytest.mark.parametrize("words", [("serve",), ("train",), ("demo", "ARGS=--preset better")])
def test_what_is_not_the_demo_trains_as_requested(words: tuple[str, ...]) -> None:
    printed = dry_run(*words)
    assert "-m training" in printed
    assert "--preset quick" not in printed
    assert "make train export" not in printed


def test_make_without_a_target_lists_the_targets_with_descriptions() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "train", "export", "serve", "clean"):
        assert re.search(rf"{target} +\S* [A-Z]\w+", listed), target


TRAINING = (ROOT / "docs/how-to/training.md").read_text()


def test_all_networks_are_listed_with_their_size() -> None:
    reported = dict(re.findall(r"^\| `(\w+)`.*? \| ([\d,]+) \|", TRAINING, re.MULTILINE))
    found = {
        name: f"{parameters_of(build(name, classes=10, dropout1=0, dropout2=0)):,}"
        for name in NETWORKS
    }
    assert {name: reported.get(name) for name in NETWORKS} == found


@pytest.mark.parametrize("name", [*NAMES, *PRESETS])
def test_every_data_set_and_preset_is_documented(name: str) -> None:
    assert f"`{name}`" in TRAINING or f"--preset {name}" in TRAINING


@pytest.mark.parametrize("flag", sorted(set(re.findall(r"(?<!`)--[a-z][a-z0-9_-]+", TRAINING))))
def test_every_documented_flag_exists(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    helps = get_args_parser().format_help()  # of torchrun
    for words in (["--help"], ["evaluate", "--help"], ["sweep", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        helps += capsys.readouterr().out
    assert flag in helps or flag in ("--logdir", "--group", "--constraint", "--help")


def test_the_python_example_runs_as_documented() -> None:
    """Everything but the training: names, keywords and methods exist."""
    blocks = TRAINING.split("```python\n")[1:]
    example = next(block for block in blocks if "MNISTClassifier" in block).split("```")[0]
    for method in re.findall(r"classifier\.(\w+)\(", example):
        assert callable(getattr(MNISTClassifier, method))
    arguments = re.findall(r"MNISTClassifier\((.*)\)", example)[0]
    pairs = (pair.split("=") for pair in arguments.split(", "))
    options: dict[str, Any] = {name: ast.literal_eval(value) for name, value in pairs}
    MNISTClassifier(**options)


GPU = (ROOT / "docs/how-to/gpu.md").read_text()


def test_the_flags_of_the_gpu_benchmark_are_documented_and_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    helps = help_of(speed_main, capsys) + help_of(bench_gpu_main, capsys)
    there = set(re.findall(r"^  (--[a-z-]+)", helps, re.MULTILINE))
    assert set(re.findall(r"--(?!constraint|group)[a-z][a-z-]+", GPU)) == there


def test_every_setting_of_the_engine_is_documented() -> None:
    reported = set(re.findall(r"DIGITSERVE_([A-Z_]+)", GPU))
    assert {"PROVIDER", "PRECISION", "TENSORRT_CACHE", "MAX_BATCH"} <= reported
    assert {name.lower() for name in reported} <= set(Settings.model_fields)


VERSIONS = (ROOT / "docs/how-to/versions.md").read_text()


def help_of(command: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        command(["--help"])
    return capsys.readouterr().out


def test_the_commands_for_versions_are_documented_and_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reported = set(re.findall(r"python -m contract ([a-z]+)", VERSIONS))
    there = set(re.findall(r"^    ([a-z]+) ", help_of(contract_main, capsys), re.MULTILINE))
    assert reported == there


def test_the_flags_of_export_are_documented_and_exist(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in VERSIONS.splitlines() if re.search("-m export(?! import)", line)]
    reported = set(re.findall(r"--[a-z-]+", " ".join(lines)))
    there = set(re.findall(r"^  (--[a-z-]+)", help_of(export_main, capsys), re.MULTILINE))
    assert reported == there - {"--runs", "--models", "--version"}


def test_the_flags_of_an_import_are_documented_and_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    section = VERSIONS.split("\n## Import\n")[1].split("\n## ")[0]
    reported = set(re.findall(r"--[a-z]+", section))
    help_text = help_of(lambda words: export_main(["import", *words]), capsys)
    there = set(re.findall(r"^  (--[a-z-]+)", help_text, re.MULTILINE))
    assert reported == there - {"--models", "--signing-key", "--no-activate", "--version"}


def test_every_file_of_a_version_is_documented(version: Version) -> None:
    reported = set(re.findall(r"`([a-z0-9_.*]+\.[a-z0-9]+)`", VERSIONS))
    assert {name for name in version.card.files if not name.endswith(".png")} <= reported


def test_links_and_images_of_the_readme_exist() -> None:
    """Those of the other pages are checked by `make docs`."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


LOAD = (ROOT / "docs/how-to/loadtest.md").read_text()


def test_every_documented_flag_of_a_load_test_exists(
    capsys: pytest.CaptureFixture[str],
) -> None:
    helps = "".join(help_of(main, capsys) for main in (loadtest_main, capacity_main, soak_main))
    there = set(re.findall(r"^  (--[a-z0-9-]+)", helps, re.MULTILINE))
    lines = [line for line in LOAD.splitlines() if "make " in line or "-m loadtest." in line]
    reported = set(re.findall(r"--[a-z][a-z0-9-]+", " ".join(lines)))
    assert reported - {"--weights", "--help"} <= there  # the first flag is an option of locust

"""Every program prints its version, and suggests what a misspelt argument may have meant."""

import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = [
    "contract", "contract.label_studio", "loadtest", "retraining", "service", "tools.notebooks",
]  # fmt: skip


def main_of(program: str) -> Callable[[list[str]], int]:
    module = program if "." in program else f"{program}.__main__"
    main: Callable[[list[str]], int] = import_module(module).main
    return main


def output_of(program: str, words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main_of(program)(words)
    assert ended.value.code == code
    printed = capsys.readouterr()
    return printed.out + printed.err


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_prints_the_version_of_pyproject(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    printed = output_of(program, ["--version"], 0, capsys)
    assert printed == f"digitserve {project['version']}\n"


@pytest.mark.parametrize(
    ("program", "words", "hint"),
    [
        ("contract", ["lst"], "invalid choice: 'lst'"),
        ("contract", ["lst"], ", did you mean list?"),
        ("contract", ["list", "--jsno"], "unrecognized arguments: --jsno, did you mean --json?"),
        ("contract", ["list", "--jsno=1"], "unrecognized arguments: --jsno=1, did you mean --json"),
        ("loadtest", ["--uers=3"], "unrecognized arguments: --uers=3, did you mean --users?"),
        ("retraining", ["submit", "--preset", "quik"], ", did you mean quick?"),
        ("tools.notebooks", ["chekc"], ", did you mean check?"),
    ],
)
def test_an_error_suggests_what_is_similar(
    program: str, words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hint in output_of(program, words, 2, capsys)


def test_an_error_suggests_nothing_if_nothing_is_similar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "did you mean" not in output_of("contract", ["list", "--colour"], 2, capsys)

"""`python -m training` tells a bad wish in a sentence, before it spends time on it."""

from pathlib import Path

import pytest

from training.__main__ import main


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--epochs", "0"], "--epochs is 0, it must be 1 to 10000"),
        (["--dropout", "nan"], "--dropout is nan"),
        (["--data", "no/such/folder"], "no/such/folder has no train-images"),
    ],
)
def test_a_bad_wish_is_refused_and_leaves_nothing(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--runs", str(tmp_path / "runs")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_own_and_embedded_data_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "mine", "--embedded"])
    assert "not allowed with" in capsys.readouterr().err


def test_help_names_every_knob_with_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "--learning-rate N peak, reached after 30 % of the steps (1e-06 to 1.0" in printed
    assert "MNIST_DIR" in printed

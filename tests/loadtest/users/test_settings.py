"""Settings are parsed strictly; errors name them."""

import re
from argparse import Namespace
from pathlib import Path

import pytest

from loadtest.users.settings import ARGUMENTS, WEIGHTS, Settings, WrongSetting
from tests.loadtest.users.swarm import tried
from tests.support.running import ROOT

DEFAULTS = {name: each.default for name, each in ARGUMENTS.items()}


def reported(**texts: str) -> Settings:
    return Settings.of(Namespace(**DEFAULTS | texts))


def test_the_defaults_are_settings() -> None:
    settings = reported()
    assert settings.weights == WEIGHTS
    assert settings.think == (0.05, 0.5)
    assert (settings.shape, settings.break_p99, settings.break_errors) == ("constant", 0.5, 0.01)


def test_an_omitted_weight_is_kept_and_0_excludes_a_kind() -> None:
    assert reported(weights="png=1, wrong=0").weights == WEIGHTS | {"png": 1, "wrong": 0}
    assert reported(weights="").weights == WEIGHTS


@pytest.mark.parametrize(
    ("text", "think"), [("0", (0, 0)), ("0.2", (0.2, 0.2)), ("0.05-1", (0.05, 1))]
)
def test_think_time_is_a_constant_or_a_range(text: str, think: tuple[float, float]) -> None:
    assert reported(think=text).think == think


def test_times_and_shares_may_have_units() -> None:
    assert reported(break_p99="50ms").break_p99 == reported(break_p99="0.05").break_p99 == 0.05
    assert reported(break_errors="0.1%").break_errors == reported(break_errors="0.001").break_errors


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("weights", "gif=2", "--weights 'gif=2': there is no kind 'gif', only png, jpeg, form"),
        ("weights", "png=much", "'png=much' is not a weight: png=2, or png=0 to leave it out"),
        ("weights", "png=-1", "is not a weight"),
        ("weights", " ".join(f"{kind}=0" for kind in WEIGHTS), "one must have a weight"),
        ("think", "0.5-0.1", "is not a number of seconds such as 0.5, or 0.05-0.5"),
        ("think", "a while", "'a while' is not a number of seconds"),
        ("think", "nan", "is not a number of seconds such as 0.5, or 0.05-0.5"),
        ("shape", "round", "--shape 'round': one of constant, steps, spike, soak, ramp"),
        ("steps", "0", "is not a whole number of 1 or more"),
        ("model", "../etc", "letters"),
        ("break_p99", "0", "--break-p99 '0': '0' is not a time above 0"),
        ("break_errors", "101%", "'101%' is not a share from 0 to 1"),
    ],
)
def test_the_error_names_an_invalid_setting(name: str, text: str, why: str) -> None:
    with pytest.raises(WrongSetting, match=re.escape(why)):
        reported(**{name: text})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--weights=gif=2"], "argument --weights: 'gif=2': there is no kind 'gif'"),
        (["--shape=soak", "--users=3"], "locust: --shape soak needs --run-time"),
        (["--weights=jpeg=0", "Jpeg"], "--weights leaves out every user that was named"),
    ],
)
def test_locust_exits_with_2_before_it_sends_anything(words: list[str], why: str) -> None:
    done = tried("--headless", "--host=http://127.0.0.1:1", *words)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_the_documentation_lists_every_setting_with_its_default() -> None:
    chapter = Path(ROOT, "docs/how-to/loadtest.md").read_text()
    for name, each in ARGUMENTS.items():
        assert f"| `--{name.replace('_', '-')}` | `{each.default}` |" in chapter

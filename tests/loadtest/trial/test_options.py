"""What is asked for is checked before anything is started."""

import pytest

from loadtest.slo import Slo
from loadtest.trial.options import Options


def test_without_a_word_a_service_is_asked_in_steps_for_a_minute_and_a_half() -> None:
    options = Options.read([])
    assert (options.host, options.users, options.run_time) == (None, 400, 96)
    assert options.slo == Slo(p99=0.050, errors=0.001)
    assert options.think == 0.275
    assert {"--users=400", "--run-time=96s", "--shape=steps", "--steps=8"} <= set(options.words)


def test_what_is_the_users_goes_to_locust_and_what_stands_behind_the_dashes_too() -> None:
    words = ["--shape", "ramp", "--run-time", "1h2m3s", "--weights", "png=9 wrong=0"]
    words += ["--think", "0.1-0.3", "--break-p99", "100ms", "--p99", "20ms", "--errors", "1%"]
    options = Options.read([*words, "--", "--loglevel", "DEBUG"])
    assert options.more == ("--loglevel", "DEBUG")
    assert options.shape == "ramp"
    assert options.think == pytest.approx(0.2)
    assert options.slo == Slo(p99=0.020, errors=0.01)
    told = {"--run-time=3723s", "--weights=png=9 wrong=0", "--think=0.1-0.3", "--break-p99=100ms"}
    assert told <= set(options.words)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--host", "127.0.0.1:8000"], "'127.0.0.1:8000' is not an address such as http://"),
        (["--users", "0"], "'0' is not a whole number from 1 on"),
        (["--run-time", "soon"], "'soon' is not a time such as 90s, 2m or 1h30m"),
        (["--run-time", "0s"], "'0s' is not a time"),
        (["--think", "2-1"], "--think: '2-1': the least comes first"),
        (["--weights", "gif=1"], "there is no kind 'gif'"),
        (["--shape", "square"], "'square': one of constant, steps, spike, soak, ramp"),
        (["--p99", "fast"], "such as 50ms"),
        (["--errors", "200%"], "from 0 to 1"),
    ],
)
def test_a_bad_word_is_named_with_what_it_may_be(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Options.read(words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err

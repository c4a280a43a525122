"""Settings are read once and bounded; errors name them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.cgroup import available_cores
from service.arguments import parser, unknown_settings, variables_of
from service.errors import CannotStart
from service.settings import SECRETS, Settings, flag_of
from tests.support.running import ROOT, clean_environment


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DIGITSERVE_")]:
        monkeypatch.delenv(name)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings.from_environment()
    assert (settings.host, settings.port, str(settings.models)) == ("127.0.0.1", 8000, "models")
    assert (settings.max_batch, settings.max_wait, settings.max_queue) == (64, 0.0, 1024)
    assert (settings.max_body, settings.max_pixels) == (10 * 2**20, 16_000_000)
    assert settings.request_timeout == settings.drain_seconds == 5.0
    assert settings.keep_alive == 75.0
    assert settings.threads == available_cores()


def test_one_invalid_setting_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_PORT", "99999")
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    (line,) = str(refused.value).splitlines()  # and none about THREADS
    assert line.startswith("DIGITSERVE_PORT=99999: ")


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.settings.available_cores", lambda: 7)
    for workers, threads in (("1", 7), ("2", 3), ("8", 1)):
        monkeypatch.setenv("DIGITSERVE_WORKERS", workers)
        assert Settings.from_environment().threads == threads
    monkeypatch.setenv("DIGITSERVE_THREADS", "4")
    assert Settings.from_environment().threads == 4


def test_secrets_can_be_files_and_variables_override_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("service.settings.SECRET_FILES", tmp_path)
    (tmp_path / "digitserve_admin_token").write_text("the-token-of-a-swarm\n")
    (tmp_path / "digitserve_api_keys").write_text("the-first-of-two-keys,the-second-of-two-keys\n")
    (tmp_path / "another").write_text("of another program")
    settings = Settings.from_environment()
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "the-token-of-a-swarm"
    assert len(settings.api_keys) == 2
    monkeypatch.setenv("DIGITSERVE_API_KEYS", "a-key-of-the-environment")
    assert len(Settings.from_environment().api_keys) == 1


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_MAX_BATCH", "8")
    monkeypatch.setenv("DIGITSERVE_MAX_WAIT", "0.002")
    settings = Settings.from_environment()
    assert (settings.max_batch, settings.max_wait) == (8, 0.002)


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("PORT", "70000", "less than or equal to 65535"),
        ("PORT", "tcp://10.0.0.1:80", "valid integer"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("MAX_BATCH", "0", "greater than or equal to 1"),
        ("MAX_WAIT", "-1", "greater than or equal to 0"),
        ("REQUEST_TIMEOUT", "0", "greater than 0"),
        ("REQUEST_TIMEOUT", "nan", "less than or equal to 300"),
        ("MAX_PIXELS", "100", "greater than or equal to 784"),
        ("PROVIDER", "tpu", "'auto', 'cpu', 'cuda' or 'tensorrt'"),
        ("PRECISION", "fp8", "'auto', 'fp32', 'fp16' or 'int8'"),
        ("TRACE_SAMPLE", "1.5", "less than or equal to 1"),
        ("TRACE_SAMPLE", "nan", "less than or equal to 1"),
        ("TRACE_LIMIT", "0", "greater than or equal to 1"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_the_error_about_an_invalid_value_names_the_setting_and_its_bound(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, bound: str
) -> None:
    monkeypatch.setenv(f"DIGITSERVE_{name}", value)
    with pytest.raises(CannotStart, match=f"DIGITSERVE_{name}={value}: .*({bound})"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ADMIN_TOKEN", "short", "at least 16 and at most 1024 characters, not 5$"),
        ("API_KEYS", "k" * 16 + ",short", "at least 16 and at most 1024 characters, not 5$"),
        ("ADMIN_TOKEN", "k" * 1025, "characters, not 1025$"),
        ("ADMIN_TOKEN", "k" * 16 + " ", "only printable ASCII"),
    ],
    ids=["short", "short key", "long", "blank"],
)
def test_the_error_about_an_unusable_secret_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(f"DIGITSERVE_{name}", value)
    with pytest.raises(CannotStart, match=rf"^DIGITSERVE_{name}=\.\.\.: .*{complaint}"):
        Settings.from_environment()


def test_the_error_lists_all_invalid_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_PORT", "x")
    monkeypatch.setenv("DIGITSERVE_MAX_QUEUE", "0")
    with pytest.raises(CannotStart, match=r"(?s)DIGITSERVE_PORT=x.*DIGITSERVE_MAX_QUEUE=0"):
        Settings.from_environment()


def test_max_wait_must_leave_time_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_MAX_WAIT", "1")
    monkeypatch.setenv("DIGITSERVE_REQUEST_TIMEOUT", "0.5")
    with pytest.raises(CannotStart, match=r"MAX_WAIT=1 must be at most half of .*TIMEOUT=0.5"):
        Settings.from_environment()


def test_a_misspelt_setting_is_reported() -> None:
    assert unknown_settings({"DIGITSERVE_MAX_BATCHES": "8", "PATH": "/bin"}) == [
        "DIGITSERVE_MAX_BATCHES is no setting, did you mean DIGITSERVE_MAX_BATCH?"
    ]


def checked(**variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "--check"]
    environment = {**clean_environment(), **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_check_of_the_settings_names_a_misspelt_one() -> None:
    done = checked(DIGITSERVE_PROT="9000")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "service: DIGITSERVE_PROT is no setting, did you mean DIGITSERVE_PORT?\n"
        "service: the settings are valid\n"
    )


def test_the_check_of_the_settings_fails_if_one_is_invalid() -> None:
    done = checked(DIGITSERVE_PORT="x")
    assert done.returncode == 2
    assert "DIGITSERVE_PORT=x: " in done.stderr


def test_every_setting_that_is_no_secret_is_a_flag() -> None:
    names = [name for name in Settings.model_fields if name not in SECRETS]
    words = [word for name in names for word in (flag_of(name), "text")]
    variables = variables_of(parser().parse_args(words))
    assert variables == {f"DIGITSERVE_{name.upper()}": "text" for name in names}


def test_help_describes_every_flag_and_every_secret() -> None:
    text = " ".join(parser().format_help().split())
    for name, field in Settings.model_fields.items():
        assert " ".join((field.description or "").split()) in text
        assert (f"DIGITSERVE_{name.upper()} " in text) == (name in SECRETS)
        assert (f" {flag_of(name)} " in text) == (name not in SECRETS)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_refused_as_a_flag_and_not_shown(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([flag_of(name), "postgresql://ann:hush@host/d"])
    complaint = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"set DIGITSERVE_{name.upper()}, or DIGITSERVE_{name.upper()}_FILE" in complaint
    assert "hush" not in complaint


def test_the_error_about_an_invalid_flag_names_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    given = variables_of(parser().parse_args(["--max-batch", "0"]))
    monkeypatch.setenv("DIGITSERVE_PORT", "x")
    monkeypatch.setenv("DIGITSERVE_MAX_BATCH", given["DIGITSERVE_MAX_BATCH"])
    with pytest.raises(CannotStart, match=r"(?s)DIGITSERVE_PORT=x: .*--max-batch 0: Input"):
        Settings.from_environment(flags=given)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_variable_can_name_the_file_of_a_secret(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("postgresql://ann:hush@host/d\n")
    monkeypatch.setenv(f"DIGITSERVE_{name.upper()}_FILE", str(tmp_path / "secret"))
    found = getattr(Settings.from_environment(), name)
    (secret,) = found if isinstance(found, tuple) else (found,)
    assert secret.get_secret_value() == "postgresql://ann:hush@host/d"
    assert unknown_settings(os.environ) == []


def test_the_error_about_an_unreadable_file_of_a_secret_names_variable_and_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DIGITSERVE_ADMIN_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(CannotStart, match=r"^DIGITSERVE_ADMIN_TOKEN_FILE=/.*/none cannot be read"):
        Settings.from_environment()


def test_a_secret_is_not_taken_from_two_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_ADMIN_TOKEN", "a-token-of-16-or-more")
    monkeypatch.setenv("DIGITSERVE_ADMIN_TOKEN_FILE", "token")
    with pytest.raises(CannotStart, match="ADMIN_TOKEN_FILE are both set: unset one"):
        Settings.from_environment()


@pytest.mark.parametrize(
    "address",
    ["", "collector:4318", "ftp://collector", "http://", "http://me:hush@host", "http://a/?k=hush"],
)
def test_the_collector_address_may_not_hold_a_secret(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DIGITSERVE_OTLP_ENDPOINT", address)
    with pytest.raises(CannotStart, match=r"DIGITSERVE_OTLP_ENDPOINT=.*OTEL_EXPORTER") as refused:
        Settings.from_environment()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("peers", ["service", "service:0", "service:99999", "http://a:80", "a b:1"])
def test_a_peer_is_a_name_with_a_port(monkeypatch: pytest.MonkeyPatch, peers: str) -> None:
    monkeypatch.setenv("DIGITSERVE_PEERS", peers)
    with pytest.raises(CannotStart, match=r"DIGITSERVE_PEERS=.*as service:8000"):
        Settings.from_environment()


def test_the_name_of_a_replica_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSERVE_REPLICA", "<b>one</b>")
    with pytest.raises(CannotStart, match=r"DIGITSERVE_REPLICA="):
        Settings.from_environment()

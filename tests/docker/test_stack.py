"""docker compose up: training, serving and monitoring with minimal privileges."""

import json
import re
import time

import httpx2
import pytest

from tests.docker import engine
from tests.docker.engine import wait_until
from tests.docker.stack import Stack
from tests.support import fetch
from tests.support.pictures import SEVEN
from tests.support.program import PATIENCE
from tests.support.running import ADMIN

PNG = {"Content-Type": "image/png"}


def test_the_log_has_a_command_for_the_user_of_the_machine(stack: Stack) -> None:
    """With the published address and without a path of the container."""
    port = stack.url.rpartition(":")[2]
    words = f"--env=DIGITSERVE_PUBLIC_URL=http://127.0.0.1:{port}"
    compose = ("run", "--rm", "--no-TTY", "--detach", words, "service")
    container = stack.compose(*compose).strip()
    try:
        stack.healthy(container)
        hints = engine.tried("docker", "logs", container).stderr
        (command,) = re.findall(r"^ +(curl .+)$", hints, re.M)
        done = engine.tried("sh", "-c", command)
        assert json.loads(done.stdout)["predictions"], done
    finally:
        engine.docker("rm", "--force", container)


def test_a_short_token_ends_up_with_the_reason(images: None) -> None:
    stack = Stack(DIGITSERVE_ADMIN_TOKEN="short")
    try:
        with pytest.raises(engine.CommandFailed, match='service "settings" didn'):
            stack.compose("up", "--detach")
        assert "DIGITSERVE_ADMIN_TOKEN=...: it must have at least 16" in stack.logs
        assert stack.compose("ps", "--quiet") == ""
    finally:
        stack.down()


def predict(url: str) -> httpx2.Response:
    return fetch.post(f"{url}/v1/predict", content=SEVEN, headers=PNG, timeout=PATIENCE)


def test_a_digit_is_recognised(stack: Stack) -> None:
    answer = predict(stack.url)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"] in "0123456789"


def test_the_training_logs_plain_lines(stack: Stack) -> None:
    log = stack.first_log
    assert "epoch    loss  accuracy" in log
    assert "which is now the current version" in log
    assert "\r" not in log.replace("\r\n", "\n")  # no progress bar, which would fill a log
    assert "unused nodes" not in log  # output of the passes of ONNX


def test_prometheus_has_the_metrics_of_the_service(stack: Stack) -> None:
    predict(stack.url)
    count = "sum(digitserve_predictions_total)"
    wait_until(lambda: query(stack, count) >= 1, lambda: query(stack, "up"))
    # Not `up` alone, which for 5 minutes has the address from before `down`: Prometheus keeps its
    # data, and marks no series as ended when it stops.
    up = 'sum(last_over_time(up{job="digitserve"}[15s]))'
    wait_until(lambda: query(stack, up) == 1, lambda: query(stack, up))


def query(stack: Stack, expression: str) -> float:
    """The answer of Prometheus, from inside its container: its port is not published."""
    promtool = ("promtool", "query", "instant", "--format=json", "http://localhost:9090")
    found = json.loads(stack.compose("exec", "-T", "prometheus", *promtool, expression))
    return float(found[0]["value"][1]) if found else 0.0


def test_the_service_has_minimal_privileges(stack: Stack) -> None:
    facts = stack.compose("exec", "-T", "service", "python", "-c", ALLOWED)
    assert json.loads(facts) == {"uid": 10001, "CapEff": 0, "CapBnd": 0, "NoNewPrivs": 1,
                                 "writable": ["/models", "/tmp"]}  # fmt: skip
    host = stack.service["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] == 2**30
    assert host["NanoCpus"] == 2e9
    assert host["PidsLimit"] == 256
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}


ALLOWED = """
import json, os
lines = dict(line.split(":", 1) for line in open("/proc/1/status") if ":" in line)
def may(folder):
    try:
        open(f"{folder}/.tried", "w").close(); os.remove(f"{folder}/.tried")
    except OSError:
        return False
    return True
print(json.dumps({
    "uid": os.getuid(),
    **{name: int(lines[name], 16) for name in ("CapEff", "CapBnd", "NoNewPrivs")},
    "writable": [at for at in ("/", "/app", "/models", "/tmp", "/venv") if may(at)],
}))
"""


def test_a_second_run_of_the_trainer_exits_without_loading_pytorch(stack: Stack) -> None:
    began = time.monotonic()
    word = "-e=PYTHONPROFILEIMPORTTIME=1"
    output = stack.compose("run", "--rm", "--no-TTY", word, "trainer", errors=True)
    print(f"the trainer's second run took {time.monotonic() - began:.1f} s")
    assert "is the current version, nothing to train" in output
    assert "contract.store" in output
    assert " torch" not in output


def test_versions_are_switched_through_the_volume(stack: Stack) -> None:
    """By an export, a manual activation, and an admin request."""
    before = stack.served()
    stack.compose("run", "--rm", "--no-TTY", "trainer", "--data=digits", "--epochs=3")
    took = wait_until(lambda: stack.served() not in ("", before), lambda: stack.logs)
    print(f"the service followed {took:.1f} s after the export")
    stack.compose("exec", "-T", "service", "python", "-m", "contract", "activate", before)
    took = wait_until(lambda: stack.served() == before, lambda: stack.logs)
    print(f"and {took:.1f} s after contract activate")
    answer = fetch.post(f"{stack.url}/v1/models/digits/rollback", headers=ADMIN, timeout=PATIENCE)
    assert answer.status_code == 200
    assert stack.served() != before


def test_locust_and_its_workers_complete_without_failures(stack: Stack) -> None:
    # Compose prints the stderr of containers, such as the log of locust, to stderr.
    log = stack.compose("--profile=loadtest", "up", "locust", "locust-worker", errors=True)
    assert log.count("misread without load, and so left out:") == 2  # one per worker
    assert re.search(r"POST +png +\d+ +0\(0.00%\)", log)
    containers = stack.compose(
        "--profile=loadtest", "ps", "--all", "--quiet", "locust", "locust-worker"
    ).split()
    ended = [engine.inspect(container)["State"] for container in containers]
    assert [(each["Running"], each["ExitCode"]) for each in ended] == [(False, 0)] * 3


def test_locust_can_run_again_in_a_separate_container(stack: Stack) -> None:
    stack.compose("--profile=loadtest", "run", "--rm", "--no-TTY", "--use-aliases", "locust")

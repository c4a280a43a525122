"""The chart, rendered by the real helm: the one on PATH, or the one that make has downloaded."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy/helm/digitserve"
VALUE_SETS = [path.name.removesuffix("-values.yaml") for path in sorted((CHART / "ci").iterdir())]
NAMESPACE = "ml"
NAME = "d-digitserve"  # of the objects of the release "d"
LINK = "found symbolic link in path"  # the chart contains rules and dashboards as links

Manifest = dict[str, Any]


class NoHelm(Exception):
    """It is neither on PATH nor downloaded."""


class Refused(Exception):
    """The chart cannot be rendered; the message is helm's."""


def helm(*words: str | Path) -> str:
    """Run helm, which must succeed and warn of nothing. Raises Refused."""
    program = shutil.which("helm") or shutil.which(ROOT / ".helm/helm/helm")
    if program is None:
        raise NoHelm("helm is neither on PATH nor in .helm: make helm")
    done = subprocess.run([program, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr)
    warnings = [line for line in done.stderr.splitlines() if LINK not in line]
    assert warnings == []
    return done.stdout


@cache
def render(values: str = "claim", *overrides: str) -> list[Manifest]:
    """The objects of a value set in ci/, with overrides as name.of.value=JSON."""
    words = [word for override in overrides for word in ("--set-json", override)]
    path = CHART / f"ci/{values}-values.yaml"
    text = helm("template", "d", CHART, "--namespace", NAMESPACE, "--values", path, *words)
    return [manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest]


def find(kind: str, manifests: list[Manifest], name: str | None = None) -> Manifest:
    """The only object of that kind, or the one of that name."""
    (found,) = [
        each
        for each in manifests
        if each["kind"] == kind and name in (None, each["metadata"]["name"])
    ]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods' specifications by the kind of the object that creates them."""
    return {
        each["kind"]: each["spec"].get("template", each)["spec"]
        for each in manifests
        if each["kind"] in ("Deployment", "StatefulSet", "Pod")
    }


def container(manifests: list[Manifest], kind: str = "Deployment") -> Manifest:
    (only,) = pods(manifests)[kind]["containers"]
    return dict(only)


def variables(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    """A container's environment: text, or where it comes from."""
    env = container(manifests, kind)["env"]
    found = {each["name"]: each.get("value", each.get("valueFrom")) for each in env}
    assert len(found) == len(env), "a variable is set twice"
    return found

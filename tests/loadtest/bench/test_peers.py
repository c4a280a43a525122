"""The inputs and the installation of peers. The frameworks are not needed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from contract.store import Store
from contract.version import Version
from loadtest.bench.peers.answers import Answers
from loadtest.bench.venv import CONSTRAINTS, HERE, constraints_beside, ensure, version_of
from loadtest.client.requests import SampleImages
from loadtest.errors import CannotMeasure
from loadtest.target.targets import PEERS, peers
from tests.fixtures import Judged
from tests.support.running import ROOT


def test_the_peers_predict_what_the_model_predicts(
    published: tuple[Store, Version], version: Version, judged: Judged
) -> None:
    images = SampleImages.of_current(published[0].folder.parent, "digits")
    answers = Answers(version.folder)
    rows = answers.rows(images.files)
    reported = json.loads(answers.json(rows[0]))["predictions"][0]
    assert np.allclose(rows, judged.probabilities[:100], atol=1e-5)
    assert reported["label"] == str(reported["index"]) == str(rows[0].argmax())
    assert (
        reported["confidence"]
        == max(reported["probabilities"])
        == pytest.approx(float(rows[0].max()))
    )


def test_each_peer_runs_with_defaults_and_tuned_for_one_connection(tmp_path: Path) -> None:
    targets = peers(tmp_path, tmp_path)
    assert [(each.name, each.connections) for each in targets] == [
        ("mosec", (64, 1, 8, 256)),
        ("mosec, tuned for 1", (64, 1, 8, 256)),
        ("litserve", (64, 1)),
        ("litserve, tuned for 1", (1,)),
        ("bentoml", (64, 1)),
        ("bentoml, tuned for 1", (1,)),
        ("fastapi", (64, 1)),  # has no batches, so there is nothing to tune
        ("mosec, 2 workers", (64,)),
    ]
    for each in targets:
        peer = each.name.partition(",")[0]
        python, _, module, port, how = each.command(1)
        assert python == str(tmp_path / peer / "bin/python")
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
        expected = {"": "many", " tuned for 1": "one", " 2 workers": "two"}
        assert (port, how) == ("1", expected[each.name.partition(",")[2]])


def installed(folder: Path, peer: str) -> None:
    """Write the files that record what a peer was installed with."""
    requirements = (HERE / f"peers/{peer}.txt").read_text()
    (folder / "requirements.txt").write_text(requirements)
    (folder / "constraints.txt").write_text(constraints_beside(requirements))


@pytest.mark.parametrize("peer", PEERS)
def test_an_installed_peer_is_not_installed_again(peer: str, tmp_path: Path) -> None:
    (tmp_path / peer).mkdir()
    installed(tmp_path / peer, peer)
    ensure(tmp_path, peer)
    assert len(list((tmp_path / peer).iterdir())) == 2


@pytest.mark.parametrize("changed", ["requirements.txt", "constraints.txt"])
def test_a_peer_is_reinstalled_when_its_requirements_have_changed(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mosec").mkdir()
    installed(tmp_path / "mosec", "mosec")
    with (tmp_path / "mosec" / changed).open("a") as file:
        file.write("numpy==1\n")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CannotMeasure, match="/bin/false -m venv"):
        ensure(tmp_path, "mosec")


@pytest.mark.parametrize("peer", PEERS)
def test_every_peer_uses_the_same_decoder_network_and_json_library(peer: str) -> None:
    wanted = (HERE / f"peers/{peer}.txt").read_text()
    pinned = CONSTRAINTS.read_text().splitlines()
    beside = constraints_beside(wanted).splitlines()
    for package in ("numpy", "onnxruntime", "opencv-python-headless", "orjson", "uvicorn"):
        pins = [line for line in pinned if line.startswith(f"{package}==")]
        assert pins
        assert set(pins) <= {*beside, *wanted.splitlines()}


def test_the_pins_of_a_peer_override_the_constraints() -> None:
    beside = constraints_beside("# certifi==2\ncertifi==1\nnumpy\n").splitlines()
    pinned = CONSTRAINTS.read_text().splitlines()
    assert [line for line in pinned if line not in beside] == [
        line for line in pinned if line.startswith("certifi==")
    ]


def test_the_version_of_a_peer_is_that_in_its_environment(tmp_path: Path) -> None:
    assert version_of(tmp_path, "numpy") == "of no version"
    (tmp_path / "numpy").symlink_to(sys.prefix)
    assert version_of(tmp_path, "numpy") == np.__version__


def test_a_peer_that_cannot_be_installed_is_reported_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CannotMeasure, match="/bin/false -m venv"):
        ensure(tmp_path, "mosec")

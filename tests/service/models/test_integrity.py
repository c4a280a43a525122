"""Damage of stored versions is found without a request for them."""

import logging
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

from contract.errors import BrokenVersion
from contract.store import Store
from contract.version import Version
from service.models.integrity import IntegrityCheck
from tests.support.running import Service, wait_until
from tests.support.versions import two_versions

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(published: tuple[Store, Version], tmp_path: Path) -> Store:
    return two_versions(published, tmp_path)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


async def test_a_changed_or_missing_file_is_found_and_its_repair_too(store: Store) -> None:
    check = IntegrityCheck(store)
    await check.run()
    assert (check.damage(1), check.damage(2)) == (None, None)
    flip_a_bit(store.folder / "2/model.onnx")
    (store.folder / "1/golden.npz").unlink()
    await check.run()
    assert "golden.npz is on the card but cannot be read" in (check.damage(1) or "")
    assert "2/model.onnx is not the file that its card describes" in (check.damage(2) or "")
    assert str(store.folder) not in f"{check.damage(1)} {check.damage(2)}"
    shutil.copy2(store.folder / "1/model.onnx", store.folder / "2/model.onnx")
    await check.run()
    assert check.damage(2) is None


async def test_a_version_is_hashed_again_only_if_it_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    monkeypatch.setattr(store, "open", hashed.append)
    check = IntegrityCheck(store)
    await check.run()
    await check.run()
    assert hashed == [2, 1]
    (store.folder / "1/model.onnx").touch()
    await check.run()
    assert hashed == [2, 1, 1]


async def test_a_version_that_could_not_be_read_is_verified_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = IntegrityCheck(store)
    with monkeypatch.context() as failing:
        failing.setattr(store, "open", Mock(side_effect=BrokenVersion("Input/output error")))
        await check.run()
    assert check.damage(1) == "Input/output error"
    await check.run()
    assert check.damage(1) is None


async def test_a_number_that_was_pruned_is_forgotten(store: Store) -> None:
    flip_a_bit(store.folder / "2/model.onnx")
    check = IntegrityCheck(store)
    await check.run()
    assert check.damage(2)
    shutil.rmtree(store.folder / "2")
    await check.run()
    assert check.damage(2) is None


async def test_the_log_names_the_damage_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service")
    flip_a_bit(store.folder / "2/model.onnx")
    check = IntegrityCheck(store)
    await check.run()
    await check.run()
    (line,) = caplog.messages
    assert line.startswith("version 2 cannot be served: ")
    assert "2/model.onnx" in line


def test_the_listing_names_the_damage_of_a_version_that_was_never_loaded(store: Store) -> None:
    flip_a_bit(store.folder / "2/model.onnx")
    with Service.started(store.folder.parent, watch_seconds=0) as service, service.client() as get:

        def damage() -> dict[str, str | None]:
            versions = get.get("/v1/models/digits").json()["versions"]
            return {each["version"]: each["damage"] for each in versions}

        wait_until(lambda: damage()["2"], service)
        assert "2/model.onnx" in (damage()["2"] or "")
        assert damage()["1"] is None

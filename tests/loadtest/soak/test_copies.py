"""Copies of a version are valid versions."""

import json
from pathlib import Path

import pytest

from contract.store import Store
from contract.version import Version
from loadtest.errors import CannotMeasure
from loadtest.soak.run import copies


def test_copies_are_versions_that_differ_in_their_creation_time(version: Version) -> None:
    with copies(version.folder, "digits", 3) as models:
        store = Store(models, "digits")
        assert (store.versions(), store.current()) == ([1, 2, 3], 1)
        cards = [store.open(number).card for number in store.versions()]
        assert len({card.created for card in cards}) == 3
    assert cards[0] == version.card
    alike = [card.model_copy(update={"created": version.card.created}) for card in cards]
    assert alike == [version.card] * 3
    assert not models.exists()


@pytest.mark.parametrize("card", [None, "no JSON", json.dumps({"name": "digits"})])
def test_an_invalid_version_is_reported(tmp_path: Path, card: str | None) -> None:
    if card is not None:
        (tmp_path / "card.json").write_text(card)
    with (
        pytest.raises(CannotMeasure, match=f"{tmp_path} cannot be copied"),
        copies(tmp_path, "digits", 2),
    ):
        pass

"""With trusted keys, only versions signed by one of them are opened."""

import stat
from pathlib import Path

import pytest

from contract import signature
from contract.card import ModelCard
from contract.errors import Untrusted
from contract.signature import BadKey
from contract.store import Store
from contract.version import Version


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "signing.pem"
    signature.generate(path)
    return path


@pytest.fixture
def public(key: Path) -> str:
    return signature.public_key(key)


@pytest.fixture
def root(tmp_path: Path, version: Version, key: Path) -> Path:
    """A store with a signed version, 1, and an unsigned version, 2."""
    store = Store(tmp_path, "digits")
    card = version.card.model_copy(update={"files": {}})
    for sign in (signature.signer(key), None):
        with store.draft() as draft:
            (draft / "model.onnx").write_bytes(b"weights")
            store.publish(draft, card, sign)
    return tmp_path


def trusting(root: Path, *keys: str) -> Store:
    return Store(root, "digits", signature.trust(keys))


def test_a_version_signed_with_a_trusted_key_is_opened(
    root: Path, public: str, tmp_path: Path
) -> None:
    another = signature.generate(tmp_path / "another.pem")
    assert trusting(root, public).open(1).number == 1
    assert trusting(root, another, public).open(1).number == 1


def test_an_unsigned_version_is_rejected_and_cannot_be_activated(root: Path, public: str) -> None:
    with pytest.raises(Untrusted, match=r"2/card\.json is not signed"):
        trusting(root, public).activate(2)


def test_a_version_signed_with_another_key_is_rejected(root: Path, tmp_path: Path) -> None:
    another = signature.generate(tmp_path / "another.pem")
    with pytest.raises(Untrusted, match=r"1/card\.json is not signed with any of the trusted keys"):
        trusting(root, another).open(1)


def test_a_card_modified_after_signing_is_rejected(root: Path, public: str) -> None:
    path = root / "digits/1/card.json"
    card = ModelCard.from_json(path.read_bytes())
    path.write_text(card.model_copy(update={"network": "another"}).to_json())
    with pytest.raises(Untrusted, match="not signed with any"):
        trusting(root, public).open(1)


@pytest.mark.parametrize("content", [b"", b"no base64!", b"AAAA"])
def test_an_invalid_signature_is_rejected(root: Path, public: str, content: bytes) -> None:
    (root / "digits/1/card.json.sig").write_bytes(content)
    with pytest.raises(Untrusted):
        trusting(root, public).open(1)


def test_without_trusted_keys_signatures_are_ignored(root: Path) -> None:
    store = Store(root, "digits")
    assert [store.open(number).number for number in (1, 2)] == [1, 2]


def test_the_signing_key_of_a_version_is_reported(root: Path, public: str, tmp_path: Path) -> None:
    another = signature.generate(tmp_path / "another.pem")
    for store, reported in (
        (Store(root, "digits"), ["signed", ""]),
        (trusting(root, public), ["trusted", "not signed"]),
        (trusting(root, another), ["not trusted", "not signed"]),
    ):
        assert [store.signature(number) for number in (1, 2)] == reported


def test_a_private_key_is_readable_only_by_its_owner_and_never_replaced(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(FileExistsError):
        signature.generate(key)
    assert key.read_bytes() == before


def test_an_invalid_public_key_is_identified_by_position_and_not_shown(public: str) -> None:
    with pytest.raises(BadKey, match=r"key 2 of DIGITSERVE_TRUSTED_KEYS \(14 char") as refused:
        signature.trust([public, "secret-of-mine"])
    assert "secret" not in str(refused.value)


def test_the_error_names_an_invalid_private_key(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nonsense")
    with pytest.raises(BadKey, match=r"key\.pem is not an unencrypted PEM private key"):
        signature.signer(tmp_path / "key.pem")
    with pytest.raises(BadKey, match=r"none\.pem cannot be read"):
        signature.signer(tmp_path / "none.pem")

"""Signatures of versions: an Ed25519 signature over card.json, which holds every file's hash.

    private key   PEM (PKCS 8) in a file that only its owner may read; export signs with it
    public key    44 characters of base64; DIGITSERVE_TRUSTED_KEYS lists the trusted keys
    card.json.sig the signature of the bytes of card.json: base64 and a newline

Signing is optional, and so is the package `cryptography`: this module is imported only where
versions are signed or signatures are checked. A signature proves that the card was signed for a
version of the model that it names. It proves neither the number of the version nor its age.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from contract.errors import StoreError, Untrusted
from contract.files import write_through

Sign = Callable[[bytes], bytes]  # content of card.json -> content of card.json.sig
Trust = Callable[[bytes, bytes | None], None]  # card.json, card.json.sig; raises Untrusted


class BadKey(StoreError):
    """A key cannot be read or is not an Ed25519 key; the message never holds the key."""


def generate(path: Path) -> str:
    """Write a new private key to `path`, which must not exist, and return the public key."""
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_through(path, content, mode=0o600)
    return public_key(path)


def public_key(path: Path) -> str:
    """The public key of the private key in `path`, in the form of DIGITSERVE_TRUSTED_KEYS."""
    return base64.b64encode(_private(path).public_key().public_bytes_raw()).decode()


def signer(path: Path) -> Sign:
    """Returns a function that signs with the private key in `path`; BadKey if there is none."""
    key = _private(path)
    return lambda card: base64.b64encode(key.sign(card)) + b"\n"


def trust(keys: Iterable[str]) -> Trust:
    """Returns a function that accepts signatures of these public keys; BadKey if one is invalid."""
    known = [_public(number, key) for number, key in enumerate(keys, 1)]

    def check(card: bytes, signature: bytes | None) -> None:
        if signature is None:
            raise Untrusted("is not signed, and only trusted signatures are accepted")
        try:
            raw = base64.b64decode(signature.strip(), validate=True)
        except binascii.Error:
            raise Untrusted("has a signature that is not valid base64") from None
        for key in known:
            try:
                key.verify(raw, card)
                return
            except InvalidSignature:
                continue
        raise Untrusted("is not signed with any of the trusted keys")

    return check


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadKey(f"the signing key {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise BadKey(
            f"{path} is not an unencrypted PEM private key; create one: python -m contract keygen"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{path} is not an Ed25519 key; create one: python -m contract keygen")
    return key


def _public(number: int, text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError:  # binascii.Error is one
        raise BadKey(
            f"key {number} of DIGITSERVE_TRUSTED_KEYS ({len(text)} characters) is not a key: it "
            "must be the 44 characters that python -m contract keygen prints"
        ) from None

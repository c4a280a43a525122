"""How every program comes to the store: where it is, and whose signature its versions must have."""

from collections.abc import Sequence
from pathlib import Path

from contract.errors import StoreError
from contract.store import Store


class NoKeys(StoreError, ValueError):
    """Who is trusted is asked for, and nobody is named."""


def open_store(models: Path, name: str, trusted_keys: Sequence[str] = ()) -> Store:
    """The store in the folder `models`; with keys, one that opens only what they have signed."""
    if not trusted_keys:
        return Store(models, name)
    from contract import signature  # loads `cryptography`, which nobody else needs

    return Store(models, name, signature.trust(trusted_keys))


def keys_of(text: str | None) -> tuple[str, ...]:
    """The keys in DIGITSERVE_TRUSTED_KEYS, with commas between them; none if it is not set.

    NoKeys if it is set and holds none: an empty secret must not switch checking off.
    """
    if text is None:
        return ()
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise NoKeys(
            "DIGITSERVE_TRUSTED_KEYS is set and holds no key: unset it to take unsigned versions"
        )
    return keys

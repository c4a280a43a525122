"""How every program comes to the store: where it is, and whose signature its versions must have."""

from collections.abc import Sequence
from pathlib import Path

from contract.store import Store


def open_store(models: Path, name: str, trusted_keys: Sequence[str] = ()) -> Store:
    """The store in the folder `models`; with keys, one that opens only what they have signed."""
    if not trusted_keys:
        return Store(models, name)
    from contract import signature  # loads `cryptography`, which nobody else needs

    return Store(models, name, signature.trust(trusted_keys))


def keys_of(text: str) -> tuple[str, ...]:
    """The keys in DIGITSERVE_TRUSTED_KEYS, which have commas between them.

    ValueError if it is set and holds none: an empty secret must not switch checking off.
    """
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("it is set and holds no key: unset it to take unsigned versions")
    return keys

"""The golden set: does this model, on this machine and provider, answer as PyTorch did?

A version brings 64 pictures with PyTorch's logits. They are asked before a version serves, so that
a provider that computes something else (a driver, a kernel, integers that saturate) is found out by
the service and not by its users.

How far a logit may be off depends on the artifact: twice what its proof found on the whole test set
and at least FLOOR, for float32 sums are added in another order on another provider. That is also
what keeps the answers the same: a digit changes only where two logits are nearer than this.
"""

import io
import zipfile

import numpy as np

from contract.card import GOLDEN
from contract.errors import BrokenVersion
from contract.version import CARD, Version
from service.engine import Engine

FLOOR = 1e-3  # difference between two logits


class WrongAnswers(Exception):
    """The golden pictures are answered otherwise than they were; the message says by how much."""


def check_golden(version: Version, engine: Engine) -> None:
    """WrongAnswers unless `engine` answers the version's golden pictures as PyTorch did."""
    try:
        with np.load(io.BytesIO(version.read(GOLDEN)), allow_pickle=False) as arrays:
            pixels, expected = arrays["pixels"], arrays["logits"]
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BrokenVersion(f"{version.folder / GOLDEN} holds no golden set: {error}") from error
    if engine.artifact not in version.card.parity:
        raise BrokenVersion(f"{version.folder / CARD} has no proof of {engine.artifact}")
    allowed = max(FLOOR, 2 * version.card.parity[engine.artifact].largest_difference)
    off = np.abs(engine(pixels).logits - expected).max(1)  # (n,)
    if not off.max() <= allowed:  # NaN is not
        raise WrongAnswers(
            f"{engine.artifact} on {engine.provider} answers {int((~(off <= allowed)).sum())} of "
            f"{len(off)} golden pictures wrongly: a logit is off by {off.max():.3g}, "
            f"{allowed:.3g} is allowed"
        )

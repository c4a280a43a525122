"""The golden set: does this model, on this machine and provider, answer as PyTorch did?

A version brings up to 64 images with PyTorch's logits, or the original model's if it was imported.
They are predicted before a version serves, so that a provider that computes something else (a
driver, a kernel, integers that saturate) is found out by the service and not by its users.

How far a logit may be off depends on the artifact: twice what its proof found on the whole test set
and at least FLOOR, for float32 sums are added in another order on another provider. That is also
what keeps the answers the same: a label changes only where two logits are nearer than this.
"""

import io
import zipfile

import numpy as np
from numpy.typing import NDArray

from contract.card import GOLDEN
from contract.errors import BrokenVersion
from contract.version import CARD, Version
from service.engine.engine import Engine
from service.errors import CannotStart
from service.tensors import Pixels, Rows

LARGEST = 16 * 2**20  # bytes of a golden set, inflated: some 20,000 digits, 100 images of 224x224
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
FLOOR = 1e-3  # difference between two logits, or two probabilities


def check_golden(version: Version, engine: Engine) -> None:
    """CannotStart unless `engine` answers the version's golden images as PyTorch did.

    BrokenVersion where there is no golden set, or no proof of what the engine runs.
    """
    pixels, expected = _golden(version)
    if engine.artifact not in version.card.parity:
        raise BrokenVersion(f"{version.folder / CARD} has no proof of {engine.artifact}")
    allowed = max(FLOOR, 2 * version.card.parity[engine.artifact].largest_difference)
    answers = engine(pixels)
    _compare("logit", answers.logits, expected, allowed, engine)
    # Whatever its logits are worth, the probabilities must be theirs.
    _compare("probability", answers.probabilities, _softmax(answers.logits), FLOOR, engine)


def _compare(what: str, found: Rows, expected: Rows, allowed: float, engine: Engine) -> None:
    off = np.abs(found - expected).max(1)  # (n,)
    if not off.max() <= allowed:  # NaN is not
        raise CannotStart(
            f"{engine.artifact} on {engine.provider} answers {int((~(off <= allowed)).sum())} of "
            f"{len(off)} golden images wrongly: a {what} is off by {off.max():.3g}, "
            f"{allowed:.3g} is allowed"
        )


def _golden(version: Version) -> tuple[Pixels, Rows]:
    """Images (n, *shape) and their logits (n, labels)."""
    path = version.folder / GOLDEN
    try:
        content = _bounded(version)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            pixels, logits = arrays["pixels"], arrays["logits"]
    except (KeyError, ValueError, TypeError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise BrokenVersion(f"{path} holds no golden set: {error}") from error
    wanted = (len(pixels), *version.card.shape), (len(pixels), len(version.card.labels))
    if (pixels.shape, logits.shape) != wanted or pixels.dtype != np.uint8 or not len(pixels):
        raise BrokenVersion(
            f"{path} holds no golden set: {pixels.dtype} {pixels.shape}, logits {logits.shape}"
        )
    return pixels, logits


def _bounded(version: Version) -> bytes:
    """The file, once its directory says that it inflates to at most LARGEST bytes.

    Zip files are inflated to the size that their directory says and no further.
    """
    facts = version.card.files.get(GOLDEN)
    if facts is not None and facts.size > LARGEST:
        raise ValueError(f"it has {facts.size} bytes, more than {LARGEST}")
    content = version.read(GOLDEN)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    if (inflated := sum(member.file_size for member in members)) > LARGEST:
        raise ValueError(f"it inflates to {inflated} bytes, more than {LARGEST}")
    if any(member.compress_type not in METHODS for member in members):
        raise ValueError("it is compressed otherwise than numpy does it")
    return content


def _softmax(logits: Rows) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    softmax: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return softmax

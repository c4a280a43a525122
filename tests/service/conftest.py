"""Test pixels with the outputs of PyTorch, and Triton's client of the shared service."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray

from service.tensors import Pixels
from tests.fixtures import Judged
from tests.support.running import Service
from tests.support.tensors import client_of


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    with client_of(service) as client:
        yield client


@pytest.fixture(scope="session")
def pixels(judged: Judged) -> Pixels:
    """(300, 28, 28), of which the first 200 are all different."""
    return np.resize(judged.pixels, (300, 28, 28))


@pytest.fixture(scope="session")
def logits(judged: Judged) -> NDArray[np.float32]:
    """The logits of PyTorch, (300, 10)."""
    return np.resize(judged.logits, (300, 10))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

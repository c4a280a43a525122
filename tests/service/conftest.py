"""Pixels with what PyTorch says of them, and Triton's client of the service that tests share."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import tritonclient.http as triton
from numpy.typing import NDArray

from service.tensors import Pixels
from tests.service.running import Service
from tests.service.tensors import client_of
from training.evaluate import logits_of
from training.run import Run


@pytest.fixture
def client(service: Service) -> Iterator[triton.InferenceServerClient]:
    with client_of(service) as client:
        yield client


@pytest.fixture(scope="session")
def pixels(run: Run) -> Pixels:
    """(300, 28, 28), the first 200 of them each another picture."""
    return np.resize(run.test_set()[0], (300, 28, 28))


@pytest.fixture(scope="session")
def logits(run: Run, pixels: Pixels) -> NDArray[np.float32]:
    """What PyTorch says, (300, 10)."""
    return logits_of(run.checkpoint().build(), torch.from_numpy(pixels)).numpy()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

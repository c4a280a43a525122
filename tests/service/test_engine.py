"""The engine runs the version it was given, on the provider it was asked for, or refuses."""

from dataclasses import replace

import numpy as np
import pytest

from contract.version import Version
from export import proof, runners
from service.engine import Answers, Engine, EngineRefused, Pixels
from training.run import Run


@pytest.fixture(scope="module")
def engine(version: Version) -> Engine:
    engine = Engine(version, provider="auto", threads=1)
    engine.warm_up(8)
    return engine


@pytest.mark.parametrize("n", [1, 2, 63, 200])
def test_it_answers_as_the_proof_did(engine: Engine, version: Version, run: Run, n: int) -> None:
    pixels = run.test_set()[0][:n]
    expected = proof.answers_of(runners.onnx_runtime(version.folder / "model.onnx"), pixels)
    answers = engine(pixels)
    assert np.allclose(answers.logits, expected.logits, atol=1e-4)
    assert np.allclose(answers.probabilities, expected.probabilities, atol=1e-5)


def test_auto_says_which_provider_it_found(engine: Engine) -> None:
    assert engine.provider == "cpu"


def test_a_graph_that_is_not_the_one_on_the_card_is_refused(version: Version) -> None:
    fewer = version.card.model_copy(update={"outputs": version.card.outputs[:1]})
    with pytest.raises(EngineRefused, match=r"model\.onnx has the tensors .*probabilities"):
        Engine(replace(version, card=fewer), provider="cpu", threads=1)


class Counting(Engine):
    """Remembers the batch sizes it was asked."""

    def __call__(self, pixels: Pixels) -> Answers:
        self.sizes = [*getattr(self, "sizes", []), len(pixels)]
        return super().__call__(pixels)


@pytest.mark.parametrize(
    ("max_batch", "sizes"),
    [(1, [1]), (64, [*range(1, 65)]), (1000, [*range(1, 257), 512, 768, 1000])],
)
def test_every_batch_size_is_warmed_up_and_of_large_ones_some(
    version: Version, max_batch: int, sizes: list[int]
) -> None:
    engine = Counting(version, provider="cpu", threads=1)
    engine.warm_up(max_batch)
    assert engine.sizes == sizes

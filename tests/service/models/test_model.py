"""A model serves in the best precision that passes the golden set, and reports its fallbacks."""

from dataclasses import replace

import pytest

from contract.card import FP16
from contract.store import Store
from contract.version import Version
from service.models.loading import GateFailed, Model, proven
from service.models.manager import ModelManager
from service.settings import Settings
from service.telemetry.metrics.registry import Metrics


@pytest.fixture
def version(version: Version) -> Version:
    """A version whose half precision is less accurate than on its card, as may happen on a GPU."""
    parity = dict(version.card.parity)
    parity[FP16] = parity[FP16].model_copy(update={"largest_difference": 0.0})
    return replace(version, card=version.card.model_copy(update={"parity": parity}))


@pytest.fixture
def settings() -> Settings:
    return Settings(provider="cpu", threads=1, max_batch=2)  # type: ignore[call-arg]


def test_half_precision_that_fails_the_golden_set_falls_back_to_float32(
    version: Version, settings: Settings
) -> None:
    info = proven(version, settings, "fp16", or_else="fp32").info
    assert (info.precision, info.artifact) == ("fp32", "model.onnx")
    [fallback] = info.fallbacks
    assert fallback.what == "precision"
    assert "model.fp16.onnx on cpu answers" in fallback.reason


def test_requested_half_precision_that_fails_is_an_error(
    version: Version, settings: Settings
) -> None:
    with pytest.raises(GateFailed, match=r"model\.fp16\.onnx on cpu answers .* wrongly"):
        proven(version, settings, "fp16")


def test_half_precision_that_passes_is_no_fallback(version: Version, settings: Settings) -> None:
    assert proven(version, settings, "fp32", or_else="fp16").info.fallbacks == ()


def test_fallbacks_are_logged_and_counted(
    published: tuple[Store, Version],
    version: Version,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    engine = proven(version, settings, "fp16", or_else="fp32")
    ModelManager(published[0], Model(version, engine, 0.1), settings, metrics).close()
    exposition = metrics.exposition().decode()
    assert 'digitserve_engine_fallback_total{what="precision"} 1.0' in exposition
    assert 'digitserve_engine_fallback_total{what="cuda_graph"} 0.0' in exposition
    assert "digitserve_provider_fallback 0.0" in exposition
    assert "float32 serves and not half precision: model.fp16.onnx on cpu answers" in caplog.text

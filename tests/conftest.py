"""Shared by all tests: profiles of hypothesis, the tiny and the embedded model, and what is skipped where."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from ptgflow.contracts import ModelCard
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.recipe.cards import shipped_cards

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def card(name: str) -> ModelCard:
    found = shipped_cards().find(name)
    assert found is not None, f"the card {name!r} ships with ptgflow"
    return found


def embedded_model_is_here() -> bool:
    """Whether tests with the embedded model need no download."""
    return any((cache_folder() / "converted").glob("*/model.safetensors"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {
        "model": None if embedded_model_is_here() else "the embedded model is not in the cache; make demo fetches it",
        "gpu": None if torch.cuda.is_available() else "there is no CUDA device",
    }
    for item in items:
        for name, reason in reasons.items():
            if reason is not None and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    return load_model(card("tiny"))


@pytest.fixture(scope="session")
def smollm2() -> LoadedModel:
    return load_model(card("smollm2-135m"))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PTGFLOW_CACHE", str(folder))
    return folder

import pytest

from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.models.model import load_model
from tests.conftest import card


@pytest.fixture(scope="session")
def transformers_tiny():
    """The same weights as `tiny`, run by transformers."""
    return load_model(card("tiny"), Accelerate(forward="transformers"))

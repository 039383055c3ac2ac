"""Model cards by name, and what a checkpoint on disk says of itself, read without loading it."""

import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from ptgflow.compiler.source import Cards
from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.native_modules import native_modules
from ptgflow.recipe.recipe_file import SHIPPED, shipped_choices

CAUSAL = frozenset({Capability.CAUSAL, Capability.KV_CACHE, Capability.HIDDEN_STATES, Capability.LAYER_ACCESS})
"""What a decoder-only causal model of a common family can do."""

NOT_CAUSAL = ("ForConditionalGeneration", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
"""Ends of architecture names that tell of another kind of model."""


def shipped_cards(config_dir: Path | None = None) -> Cards:
    """The cards of `recipes/model/`, those of a person's own folder first."""
    folders = [folder for folder in (config_dir, SHIPPED) if folder is not None]

    def find(name: str) -> ModelCard | None:
        for folder in folders:
            path = folder / "model" / f"{name}.yaml"
            if path.is_file():
                return _read(path)
        return None

    return Cards(find=find, names=lambda: [name for name in shipped_choices("model", config_dir) if find(name)])


def _able(folder: Path) -> frozenset[Capability]:
    """What a causal model's folder shows that it can do."""
    return CAUSAL | {Capability.NATIVE_MTP} if native_modules(folder)[1] else CAUSAL


def _read(path: Path) -> ModelCard | None:
    """A card; None when the file leaves something for the command line to say (`source: ???`), as `custom` does."""
    try:
        card = ModelCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError):
        return None
    return None if card.source == "???" else card


def card_facts(card: ModelCard) -> ModelCard:
    """The card with what the checkpoint's own `config.json` says, where the card leaves it open and the file is there.

    A hub id or a GGUF file is left open: it is read when the model is loaded.
    """
    config = Path(card.source) / "config.json"
    if card.capabilities is not None or not config.is_file():
        return card
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return card
    if not isinstance(said, dict):
        return card
    names = [str(name) for name in said.get("architectures") or []]
    causal = any(name.endswith("ForCausalLM") for name in names)
    if not causal and not any(name.endswith(NOT_CAUSAL) for name in names):
        return card  # An architecture that its name does not give away is judged when it is loaded.
    limit = said.get("max_position_embeddings")
    return card.model_copy(
        update={
            "capabilities": _able(config.parent) if causal else frozenset[Capability](),
            "context_length": card.context_length or (limit if isinstance(limit, int) else None),
        }
    )

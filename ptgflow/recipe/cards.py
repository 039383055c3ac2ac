"""Model cards by name, and what a checkpoint on disk says of itself, read without loading it."""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ptgflow.compiler.source import Cards
from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.abilities import CAUSAL_DECODER, abilities_to_fill
from ptgflow.contracts.masked_model import UnclearConventionsError, holes_of
from ptgflow.contracts.native_modules import native_modules
from ptgflow.recipe.recipe_file import SHIPPED, shipped_choices

NOT_CAUSAL = ("ForConditionalGeneration", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
"""Ends of architecture names that tell of another kind of model."""

_LIMITS = ("max_position_embeddings", "max_sequence_length", "model_length")
"""Under which of its names a configuration has the longest text."""


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
    if card.capabilities is not None:
        return card
    said = _said(Path(card.source))
    able, limit = _able(card, said), next((said[key] for key in _LIMITS if isinstance(said.get(key), int)), None)
    # An architecture that its name does not give away is judged when it is loaded.
    if able is None:
        return card
    return card.model_copy(update={"capabilities": able, "context_length": card.context_length or limit})


def _able(card: ModelCard, said: dict[str, Any]) -> frozenset[Capability] | None:
    """What a model can do, by its card and the contents of its config.json; None: neither tells."""
    try:
        holes = holes_of(said, card.masked)
    except UnclearConventionsError:
        return None
    if holes is not None:
        return abilities_to_fill(holes)
    names = [str(name) for name in said.get("architectures") or []]
    if any(name.endswith("ForCausalLM") for name in names):
        brought = native_modules(Path(card.source))[1] > 0
        return CAUSAL_DECODER | {Capability.NATIVE_MTP} if brought else CAUSAL_DECODER
    return frozenset[Capability]() if any(name.endswith(NOT_CAUSAL) for name in names) else None


def _said(folder: Path) -> dict[str, Any]:
    """The contents of a folder's config.json, with those of its part for text; none: it cannot be read."""
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(said, dict):
        return {}
    text = said.get("text_config")
    return {**(text if isinstance(text, dict) else {}), **said}

"""`ptgflow models`: the model cards."""

from ptgflow.cli.arguments import Arguments
from ptgflow.cli.output import table
from ptgflow.recipe.cards import shipped_cards


def main(arguments: Arguments) -> int:
    """One line a card."""
    cards = shipped_cards(arguments.config_dir)
    found = [card for name in cards.names() if (card := cards.find(name)) is not None]
    rows = [
        (
            card.name,
            "?" if card.parameters is None else f"{card.parameters / 1e6:.3g} M",
            "?" if card.context_length is None else f"{card.context_length} tokens",
            card.license or "?",
            card.description or card.source,
        )
        for card in found
    ]
    print(table(rows))
    print("\nAny Llama-, Mistral-, Qwen- or Gemma-family model: model.source=FOLDER, FILE.gguf or ORG/NAME of the hub.")
    return 0

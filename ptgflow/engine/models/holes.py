"""What a loaded checkpoint takes for a hole, as its card, its configuration and its tokenizer tell."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from ptgflow.contracts import ModelCard
from ptgflow.contracts.masked_model import Holes, MaskedConventions, UnclearConventionsError, holes_of
from ptgflow.diagnostics.codes.runtime import CARD_CONTRADICTED, UNSUPPORTED_MODEL
from ptgflow.engine.models.checkpoint import said_by
from ptgflow.errors import RunError


def checked_holes(card: ModelCard, rows: int, tokenizer: PreTrainedTokenizerBase, folder: Path | None) -> Holes | None:
    """How a model is asked to fill holes by itself; None: it is not made for that.

    Args:
        card: which may say it.
        rows: tokens that the model has an embedding for.
        tokenizer: which may have a mask token.
        folder: the checkpoint's, whose config.json may say it; None: it was made in memory.

    Raises:
        RunError: UNSUPPORTED_MODEL where not all is known, CARD_CONTRADICTED where the card names tokens that the model
            does not have.
    """
    said = {} if folder is None else said_by(card, folder)
    mask = tokenizer.mask_token_id
    try:
        found = holes_of(said, card.masked, mask_id=mask if isinstance(mask, int) else None)
    except UnclearConventionsError as error:
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=error.reason, help=error.remedy)]) from error
    if not isinstance(found, MaskedConventions):
        return found
    stated = {} if card.masked is None else card.masked.said
    there = f"tokens from 0 to {rows - 1}"
    if found.mask_id >= rows and "mask_id" in stated:
        raise RunError(
            [CARD_CONTRADICTED(model=card.name, field="masked.mask_id", declared=found.mask_id, found=there)]
        )
    if found.mask_id >= rows:
        reason = f"its mask token would be {found.mask_id}, and it has {there}"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help="write model.masked.mask_id=ID")])
    alien = [token for token in found.end_ids if token >= rows]
    if alien and "end_ids" in stated:
        raise RunError([CARD_CONTRADICTED(model=card.name, field="masked.end_ids", declared=alien[0], found=there)])
    # What is usual in a family may be of a larger vocabulary.
    return found.model_copy(update={"end_ids": tuple(token for token in found.end_ids if token < rows)})

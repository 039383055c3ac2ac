"""Which options of masked generation have no effect where it stands in a flow. No torch."""

from collections.abc import Iterator
from typing import Final

from ptgflow.contracts import Conflict, Prompt, Segment, StageOptions, Verified
from ptgflow.stages.masked.length_options import LengthOptions

_DRAFTING: Final = {"model", "weights"}
"""What a stage reads that only drafts for the verifier behind it."""
_OF_A_LENGTH: Final = set(LengthOptions.model_fields) - set(StageOptions.model_fields)


def where_fused(options: StageOptions) -> Iterator[Conflict]:
    """Before a verifier a block is foreseen in one pass, and what is written is the verifier's choice."""
    for name, value in _changed(options):
        # What is of a verified text is refused for the kind of text, fused or not.
        if name not in _DRAFTING and name != "weak":
            yield _conflict(
                options,
                name,
                f"{name}={value} is of a canvas that is filled round by round, and here a block is drafted for the "
                "verifier behind it",
            )


def of_other_texts(options: StageOptions, kind: type[Segment]) -> Iterator[Conflict]:
    """What is about texts that a verifier has judged, or canvases behind a prompt, where another kind comes in."""
    for name, _ in _changed(options):
        if name == "weak" and not issubclass(kind, Verified):
            reason = f"weak is of a text that a verifier has judged, and a {kind.__name__} reaches the stage"
            yield _conflict(options, name, reason)
        if name in _OF_A_LENGTH and not issubclass(kind, Prompt):
            reason = f"{name} is of a canvas behind a prompt, and here a {kind.__name__} of its own length is filled"
            yield _conflict(options, name, reason)


def _changed(options: StageOptions) -> Iterator[tuple[str, object]]:
    """Options that are not at their defaults."""
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if value != field.default:
            yield name, value


def _conflict(options: StageOptions, name: str, reason: str) -> Conflict:
    default = type(options).model_fields[name].default
    return Conflict(reason=reason, remedies=(f"{name}={'null' if default is None else default}",))

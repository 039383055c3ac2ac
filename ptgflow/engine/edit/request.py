"""What is asked of a loop over texts."""

from dataclasses import dataclass

from ptgflow.engine.edit.rules import Editor


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """One text to be refined, by whomever."""

    text: str
    token_ids: tuple[int, ...]
    scores: tuple[float, ...]
    """Log-probability of each token as its writer saw it, in nats; kept where the token is kept."""
    rounds: int
    """At most."""
    prompt_ids: tuple[int, ...] = ()
    visible: bool = True
    """Whether the text is part of the answer, and so is shown when it is done."""

    def __post_init__(self) -> None:
        assert len(self.token_ids) == len(self.scores), "every token has a score"
        assert self.rounds >= 1, "a text is looked at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequest(Refinement):
    """One text to be refined by an editor."""

    editor: Editor

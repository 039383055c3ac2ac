"""What editors can be told that have the model write anew."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from ptgflow.contracts import Conflict, StageOptions
from ptgflow.stages.edit.options import EditOptions


class RewriteOptions(EditOptions):
    """What the model is told, and when what it writes is taken."""

    rounds: int = Field(default=1, ge=1, le=32, description="most rounds; each starts from what the one before left")
    instruction: str = Field(
        default="Rewrite the text so that it is correct, clear and easy to read. Keep its meaning, its language and "
        "its length. Answer with the rewritten text only.",
        min_length=1,
        description="what the model is told to do; the request and the text stand before it",
    )
    min_length: float = Field(default=0.7, ge=0.0, le=1.0, description="least length, as a share of the text's")
    max_length: float = Field(default=1.5, ge=1.0, le=10.0, description="greatest length, as a share of the text's")
    similarity: float = Field(
        default=0.75, ge=0.0, le=1.0, description="least share of words and marks that are the same, in their order"
    )
    gain: float | None = Field(
        default=0.2,
        description="least rise of the log-probability a token after the prompt, in nats; null: it may fall",
    )


def _as_json(value: object) -> object:
    """A mapping as its JSON text, which keeps the order of its keys."""
    return json.dumps(value) if isinstance(value, Mapping) else value


JsonText = Annotated[str, BeforeValidator(_as_json)]


class GrammarOptions(StageOptions):
    """Which grammar, and how far the text may go back for it."""

    json_schema: JsonText | None = Field(
        default=None, description="a JSON schema: inline, or the path of a file; a text has its keys in this order"
    )
    regex: str | None = Field(default=None, description="a regular expression that the whole text has to match")
    backtracks: int = Field(
        default=3,
        ge=0,
        le=16,
        description="how often more of the text is written anew where it came to no end: 1, 3, 7, ... words or marks, "
        "the last time all",
    )

    @property
    def is_inline(self) -> bool:
        """Whether the schema is no path."""
        return self.json_schema is not None and self.json_schema.lstrip().startswith("{")

    def conflicts(self) -> tuple[Conflict, ...]:
        """One grammar, not none and not two."""
        remedies = ("json_schema=FILE", "regex='[0-9]+'")
        if self.json_schema is None and self.regex is None:
            return (Conflict(reason="there is no grammar: json_schema and regex are both null", remedies=remedies),)
        if self.json_schema is not None and self.regex is not None:
            reason = "a text is kept to one grammar, and json_schema and regex are both given"
            return (Conflict(reason=reason, remedies=("json_schema=null", "regex=null")),)
        return ()

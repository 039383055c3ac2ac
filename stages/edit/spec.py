"""Edit-Based Refinement: the table of editors."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from ptgflow.contracts import Canvas, Capability, Contract, MethodSpec, Paradigm, StageOptions, Text
from ptgflow.contracts.method import Conflict


class EditOptions(StageOptions):
    """What every editor shares."""

    rounds: int = Field(default=2, ge=1, le=32, description="most rounds; an editor stops earlier at a fixed point")


class LocateReviseOptions(EditOptions):
    """When a token is unlikely, and when another one is better."""

    weak: float = Field(default=0.05, gt=0.0, lt=1.0, description="tokens of at most this probability are looked at")
    candidates: int = Field(default=8, ge=1, le=64, description="tokens that are tried in the place of one")
    ahead: int = Field(default=8, ge=0, le=64, description="tokens behind it whose probability counts")
    gain: float = Field(
        default=2.0,
        ge=0.0,
        description="least rise of their log-probability together, in nats; of those behind it alone, where it goes",
    )


class TaggerOptions(EditOptions):
    """Which tagger, and how sure it must be."""

    rounds: int = Field(default=5, ge=1, le=32, description="most rounds: a word is edited once in each")
    tagger: str | None = Field(
        default=None, description="a folder with a tagger; null: the embedded one, which a package brings"
    )
    keep_bias: float = Field(default=0.0, ge=-1.0, le=1.0, description="added to the probability of keeping a word")
    delete_bias: float = Field(default=0.0, ge=-1.0, le=1.0, description="added to the probability of deleting a word")
    least_token: float = Field(default=0.9, ge=0.0, le=1.0, description="least probability of an edit")
    least_sentence: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="least probability that a sentence has an error, at its likeliest place",
    )


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


METHODS = (
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="locate_revise",
        summary="tokens that the model finds unlikely are found, and rewritten where that makes the text likelier",
        reference="RewriteNAT, EMNLP 2021",
        options=LocateReviseOptions,
        needs=frozenset({Capability.CAUSAL}),
        implementation="ptgflow.stages.edit.locate_revise:LocateAndRevise",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="tagger",
        summary="a tagger keeps, deletes, replaces or adds at each word",
        reference="GECToR, arXiv 2005.12592",
        options=TaggerOptions,
        extra="edit",
        implementation="ptgflow.stages.edit.tagger:Tagger",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="grammar",
        summary="a text is kept as far as a JSON schema or a regular expression allows it, and goes on under it",
        reference="IterGen, arXiv 2410.07295",
        options=GrammarOptions,
        needs=frozenset({Capability.CAUSAL}),
        extra="grammar",
        decodes=True,
        implementation="ptgflow.stages.edit.grammar:GrammarEdit",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="rewrite",
        summary="the model is told to rewrite the text, which is taken where it is still the same text",
        reference="Self-Refine, arXiv 2303.17651",
        options=RewriteOptions,
        needs=frozenset({Capability.CAUSAL}),
        decodes=True,
        implementation="ptgflow.stages.edit.rewrite:Rewrite",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="levenshtein",
        summary="delete, insert placeholders, fill them",
        reference="Levenshtein Transformer, NeurIPS 2019",
        options=EditOptions,
        needs=frozenset({Capability.HIDDEN_STATES}),
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="felix",
        summary="tags what to keep and leaves holes for a Masked stage to fill",
        reference="FELIX, arXiv 2003.10687",
        options=EditOptions,
        contract=Contract(takes=(Text,), leaves=Canvas),
    ),
)

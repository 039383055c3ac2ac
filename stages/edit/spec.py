"""Edit-Based Refinement: the table of editors."""

from pydantic import Field

from ptgflow.contracts import Canvas, Capability, Contract, MethodSpec, Paradigm, StageOptions, Text


class EditOptions(StageOptions):
    """What every editor shares."""

    rounds: int = Field(default=2, ge=1, le=32, description="most rounds; an editor stops earlier at a fixed point")


METHODS = (
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="locate_revise",
        summary="tokens that the model finds unlikely are found, and rewritten where that makes the text likelier",
        reference="RewriteNAT, EMNLP 2021",
        options=EditOptions,
        needs=frozenset({Capability.CAUSAL}),
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="tagger",
        summary="a tagger keeps, deletes, replaces or adds at each word",
        reference="GECToR, arXiv 2005.12592",
        options=EditOptions,
        extra="edit",
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

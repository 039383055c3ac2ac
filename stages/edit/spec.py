"""Edit-Based Refinement: the table of editors."""

from typing import Final, Literal

from pydantic import Field

from ptgflow.contracts import Canvas, Capability, Conflict, Contract, MethodSpec, Paradigm, StageOptions, Text


class EditOptions(StageOptions):
    """What every editor shares."""

    rounds: int = Field(default=2, ge=1, le=32, description="most rounds; an editor stops earlier at a fixed point")


class LocateReviseOptions(EditOptions):
    """When a token is unlikely, and when another one is better."""

    weak: float = Field(default=0.05, gt=0.0, lt=1.0, description="tokens of at most this probability are looked at")
    by: Literal["target", "masked"] = Field(
        default="target",
        description="who proposes tokens: the model by the text before, or with adapters for canvases by both sides",
    )
    weights: str | None = Field(
        default=None, description="a folder with adapters for canvases; null: those that ship for the model"
    )
    candidates: int = Field(default=4, ge=1, le=64, description="tokens that are tried in the place of one")
    ahead: int = Field(default=4, ge=0, le=64, description="tokens behind it whose probability counts")
    gain: float = Field(
        default=2.0,
        ge=0.0,
        description="least rise of their log-probability together, in nats; of those behind it alone, where it goes",
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.by == "masked" or self.weights is None:
            return found
        reason = "weights are adapters for canvases, and by=target proposes without any"
        return (*found, Conflict(reason=reason, remedies=("by=masked", "weights=null")))


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


class ConsistencyOptions(EditOptions):
    """What is put right in a whole."""

    rounds: int = Field(default=4, ge=1, le=32, description="most rounds: what is repeated goes first, then the layout")
    similar: float | None = Field(
        default=0.9,
        ge=0.5,
        le=1.0,
        description="share of their words that two sentences have in common, from which the later one is taken out; "
        "null: none is",
    )
    layout: Literal["alike"] | None = Field(
        default="alike",
        description="numbers of items go up one by one, and items, their titles and headings are set as most are; "
        "null: they stay",
    )

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.similar is not None or self.layout is not None:
            return found
        reason = "with similar=null and layout=null there is nothing to do"
        return (*found, Conflict(reason=reason, remedies=("similar=0.9", "layout=alike")))


_WEIGHTS = "a folder with policies of edits; null: those that ship for the model"
_ADAPTERS = "a folder with adapters for canvases, those that the policies were trained with; null: those that ship"
_DELETE = "a token goes where the probability of that is larger"
_INSERT = "something is missing in a gap where the probability of that is larger"
_MOST = "most placeholders of a gap in a round; the policies have a bound of their own"


class PolicyOptions(EditOptions):
    """Which policies, and when something is missing."""

    weights: str | None = Field(default=None, description=_WEIGHTS)
    adapters: str | None = Field(default=None, description=_ADAPTERS)
    insert: float = Field(default=0.5, ge=0.0, le=1.0, description=_INSERT)
    most: int = Field(default=8, ge=1, le=16, description=_MOST)


class LevenshteinOptions(PolicyOptions):
    """When a token goes."""

    delete: float = Field(default=0.5, ge=0.0, le=1.0, description=_DELETE)


class InsertionOptions(PolicyOptions):
    """Insertion alone."""

    rounds: int = Field(default=4, ge=1, le=32, description="most rounds: each at most doubles what was inserted")


class RepositionOptions(PolicyOptions):
    """When a token goes, or another one comes in its place."""

    move: float = Field(
        default=0.5, ge=0.0, le=1.0, description="a place is given up where the probability of that is larger"
    )


_OF_POLICIES: Final = ("weights", "adapters", "delete", "insert", "most")
_OF_A_TAGGER: Final = ("tagger", "least_token")


class FelixOptions(StageOptions):
    """Who tags, and how sure he must be."""

    tags: Literal["policy", "tagger"] = Field(
        default="policy", description="who tags: policies of edits, or a tagger, of which places and lengths are taken"
    )
    weights: str | None = Field(default=None, description=_WEIGHTS)
    adapters: str | None = Field(default=None, description=_ADAPTERS)
    delete: float = Field(default=0.5, ge=0.0, le=1.0, description=_DELETE)
    insert: float = Field(default=0.5, ge=0.0, le=1.0, description=_INSERT)
    most: int = Field(default=8, ge=1, le=16, description=_MOST)
    tagger: str | None = Field(
        default=None, description="a folder with a tagger; null: the embedded one, which a package brings"
    )
    least_token: float = Field(default=0.9, ge=0.0, le=1.0, description="least probability of a tagger's edit")

    def conflicts(self) -> tuple[Conflict, ...]:
        """Options of the one who does not tag."""
        fields, other = type(self).model_fields, "tagger" if self.tags == "policy" else "policy"
        return tuple(
            Conflict(
                reason=f"tags={self.tags}, and {name}={getattr(self, name)} is of tags={other}",
                remedies=(
                    f"tags={other}",
                    f"{name}={'null' if fields[name].default is None else fields[name].default}",
                ),
            )
            for name in (_OF_A_TAGGER if self.tags == "policy" else _OF_POLICIES)
            if getattr(self, name) != fields[name].default
        )


_READS: Final = frozenset({Capability.CAUSAL, Capability.HIDDEN_STATES, Capability.MASK_TOKEN})

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
        name="consistency",
        summary="sentences that parts repeat are taken out, and lists and headings are set alike",
        reference="Skeleton-of-Thought, arXiv 2307.15337, on what its points do not know of one another",
        options=ConsistencyOptions,
        implementation="ptgflow.stages.edit.consistency:ConsistencyOfWholes",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="levenshtein",
        summary="delete, insert placeholders, fill them",
        reference="Levenshtein Transformer, NeurIPS 2019",
        options=LevenshteinOptions,
        needs=_READS,
        implementation="ptgflow.stages.edit.policies:DeleteInsertFill",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="insertion",
        summary="insert alone, one token in a gap a round",
        reference="Insertion Transformer, ICML 2019",
        options=InsertionOptions,
        needs=_READS,
        implementation="ptgflow.stages.edit.policies:InsertAlone",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="reposition",
        summary="move or drop, insert placeholders, fill them",
        reference="EDITOR, TACL 2021",
        options=RepositionOptions,
        needs=_READS,
        implementation="ptgflow.stages.edit.policies:MoveInsertFill",
    ),
    MethodSpec(
        paradigm=Paradigm.EDIT,
        name="felix",
        summary="tags what to keep and leaves holes for a Masked stage to fill",
        reference="FELIX, arXiv 2003.10687",
        options=FelixOptions,
        contract=Contract(takes=(Text,), leaves=Canvas),
        extra="edit",
        implementation="ptgflow.stages.edit.felix:Felix",
    ),
)

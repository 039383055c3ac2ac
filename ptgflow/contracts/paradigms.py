"""The six paradigms of parallel text generation, Merge, and the bridge Remask: their names and contracts.

Source of the six: "A Survey on Parallel Text Generation" (arXiv 2508.08712), sections 3 and 4. Nothing here says which
pairs compose: `ptgflow.compiler.matrix` derives that from the contracts.
"""

from dataclasses import dataclass
from enum import StrEnum

from ptgflow.contracts.contract import Contract, Shape, Writes
from ptgflow.contracts.kinds import Canvas, Draft, Prompt, Segment, Text, Verified


class Paradigm(StrEnum):
    """The value is the name in recipes and folders."""

    DECOMPOSE = "decompose"
    ONESHOT = "oneshot"
    MTP = "mtp"
    MASKED = "masked"
    EDIT = "edit"
    DRAFT_VERIFY = "draft_verify"
    MERGE = "merge"
    REMASK = "remask"


SIX: tuple[Paradigm, ...] = (
    Paradigm.ONESHOT,
    Paradigm.DECOMPOSE,
    Paradigm.MASKED,
    Paradigm.EDIT,
    Paradigm.DRAFT_VERIFY,
    Paradigm.MTP,
)
"""In the order of the survey's Table 4. Merge is no paradigm: it only ends what Decompose began."""

BRIDGES: tuple[Paradigm, ...] = (Paradigm.REMASK,)
"""No paradigms, either: a bridge makes of what one leaves something that another takes. It is written into a flow where
the two would not compose, so that the conversion is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParadigmSpec:
    """What ptgflow knows of a paradigm before any method fills it."""

    paradigm: Paradigm
    title: str
    """The stage's name in Python."""
    survey_name: str
    """The name in the survey's tables."""
    idea: str
    contract: Contract
    writes: Writes
    axis: str
    """The option that names the method: `Decompose(method=...)`, `MTP(heads=...)`."""
    default: str
    """The method when none is named."""


_TEXT_IS_DONE = "a complete text has no open prefix to continue"
_SPEC_ROWS = (
    ParadigmSpec(
        paradigm=Paradigm.DECOMPOSE,
        title="Decompose",
        survey_name="Decomposition-and-Fill",
        idea="split the request or the text into segments that are worked on side by side",
        contract=Contract(
            takes=(Prompt, Text),
            leaves=None,
            shape=Shape.FORK,
            refuses={Segment: "only a prompt can be split into sub-prompts, and only a text into passages"},
        ),
        writes=Writes.APPENDS,
        axis="method",
        default="skeleton",
    ),
    ParadigmSpec(
        paradigm=Paradigm.ONESHOT,
        title="OneShot",
        survey_name="One-shot Generation",
        idea="write the whole text in a single pass",
        contract=Contract(
            takes=(Prompt,),
            leaves=Text,
            refuses={
                Text: "a single pass writes a text from its condition; it has no room for one that is already there",
                Canvas: "a single pass writes every position; it cannot keep the text around the holes",
            },
        ),
        writes=Writes.ONCE,
        axis="decoder",
        default="argmax",
    ),
    ParadigmSpec(
        paradigm=Paradigm.MTP,
        title="MTP",
        survey_name="Multiple Token Prediction",
        idea="write several consecutive tokens a step with extra prediction heads",
        contract=Contract(
            takes=(Prompt,),
            leaves=Draft,
            refuses={
                Text: f"several tokens are predicted at the end of a prefix, and {_TEXT_IS_DONE}",
                Draft: "consecutive tokens are predicted at the end of an open prefix, while a draft was settled in "
                "its own order, scattered or not, and has no open end",
                Canvas: "consecutive tokens are predicted at the end of a prefix; holes lie anywhere",
            },
        ),
        writes=Writes.APPENDS,
        axis="heads",
        default="medusa",
    ),
    ParadigmSpec(
        paradigm=Paradigm.MASKED,
        title="Masked",
        survey_name="Masked Generation",
        idea="fill masked positions anywhere, many a step, until none is left",
        contract=Contract(
            takes=(Prompt, Canvas, Verified),
            leaves=Draft,
            refuses={
                Text: "nothing is left unresolved in a complete text: it has no masked position to fill",
                Draft: (
                    "a draft grows consecutively at its end while masked generation fills scattered positions; "
                    "nothing says which of its positions to re-open"
                ),
            },
        ),
        writes=Writes.REVISES,
        axis="selector",
        default="threshold",
    ),
    ParadigmSpec(
        paradigm=Paradigm.EDIT,
        title="Edit",
        survey_name="Edit-Based Refinement",
        idea="repair a text by insertions, deletions and replacements, round by round",
        contract=Contract(
            takes=(Text,),
            leaves=Draft,
            may_leave=(Canvas,),
            refuses={
                Prompt: "there is no text yet to repair",
                Canvas: "a text with holes is not complete: fill them before it is repaired",
            },
        ),
        writes=Writes.REVISES,
        axis="editor",
        default="locate_revise",
    ),
    ParadigmSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        title="DraftVerify",
        survey_name="Draft-and-Verify",
        idea="propose tokens cheaply and let the target model judge many of them in one pass",
        contract=Contract(
            takes=(Prompt, Draft),
            leaves=Verified,
            refuses={
                Text: "a text without token-level trace cannot be verified token by token",
                Canvas: "verification goes token by token from the left; a hole stops it",
            },
        ),
        writes=Writes.APPENDS,
        axis="drafter",
        default="ngram",
    ),
    ParadigmSpec(
        paradigm=Paradigm.MERGE,
        title="Merge",
        survey_name="Merge",
        idea="join the segments of a family into one",
        contract=Contract(
            takes=(Text,),
            leaves=None,
            shape=Shape.JOIN,
            refuses={
                Prompt: "sub-prompts are not text yet: nothing was written that could be joined",
                Canvas: "a segment with holes is not complete: fill it before the segments are joined",
            },
        ),
        writes=Writes.APPENDS,
        axis="method",
        default="join",
    ),
    ParadigmSpec(
        paradigm=Paradigm.REMASK,
        title="Remask",
        survey_name="Remask",
        idea="open the doubtful positions of a complete text again, for a stage that fills them",
        contract=Contract(
            takes=(Text,),
            leaves=Canvas,
            refuses={
                Prompt: "there is no text yet of which something could be opened again",
                Canvas: "a text with holes is one that can be filled already",
            },
        ),
        writes=Writes.REVISES,
        axis="method",
        default="weakest",
    ),
)

PARADIGMS: dict[Paradigm, ParadigmSpec] = {row.paradigm: row for row in _SPEC_ROWS}

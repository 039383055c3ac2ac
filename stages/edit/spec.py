"""Edit-Based Refinement: the table of editors."""

from typing import Final

from ptgflow.contracts import Canvas, Capability, Contract, MethodSpec, Paradigm, Text
from ptgflow.stages.edit.options import ConsistencyOptions, LocateReviseOptions, TaggerOptions
from ptgflow.stages.edit.policy_options import FelixOptions, InsertionOptions, LevenshteinOptions, RepositionOptions
from ptgflow.stages.edit.rewriting_options import GrammarOptions, RewriteOptions

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

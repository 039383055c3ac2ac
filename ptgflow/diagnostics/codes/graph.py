"""PTG2xx: the shape of the graph, and PTG3xx: lifting over Decompose."""

from typing import Final

from ptgflow.diagnostics.model import Rule

EMPTY_FLOW: Final = Rule(
    code="PTG201",
    slug="empty-flow",
    message="the flow has no stage",
    help="name at least one, for example  flow: write",
    what="A flow without stages, or with nothing but `merge`.",
    why="Nothing would write the answer.",
)
REPEATED_SLOT: Final = Rule(
    code="PTG202",
    slug="repeated-slot",
    message="the slot {name!r} stands {times} times in the flow",
    help="give each place its own slot: declare  stages.{other}  with the same method and write  {flow}",
    what="One slot is used at several places of the flow.",
    why="A slot is one place: overrides and reports reach a stage by its slot.",
)
MERGE_WITHOUT_DECOMPOSE: Final = Rule(
    code="PTG301",
    slug="merge-without-decompose",
    message="{merge} has nothing to join: no Decompose stands before it that was not merged already",
    help="{hint}",
    what="A Merge without a family of segments.",
    why="Merge ends what a Decompose began.",
)
NESTED_DECOMPOSE: Final = Rule(
    code="PTG302",
    slug="nested-decompose",
    message="{inner} splits segments that {outer} has split already",
    help="{hint}",
    what="A Decompose follows another one without a Merge between them.",
    why="One level of segments runs side by side; a second split of each segment needs the first to be joined.",
)
NEVER_FILLED: Final = Rule(
    code="PTG303",
    slug="segments-never-filled",
    message="{split} splits the prompt, and no stage after it writes the segments",
    help="{hint}",
    what="A flow that splits a prompt and ends, or merges, before anything is written.",
    why="The answer would be a list of prompts.",
)

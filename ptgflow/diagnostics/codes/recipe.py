"""PTG0xx: recipe files and the command line."""

from typing import Final

from ptgflow.diagnostics.model import Rule, Severity

UNKNOWN_RECIPE: Final = Rule(
    code="PTG001",
    slug="unknown-recipe",
    message="there is no recipe {name!r}",
    help="{hint}",
    what="`recipe=` names no shipped recipe, no recipe in `--config-dir`, and no file.",
    why="Nothing can be compiled without a flow.",
)
UNKNOWN_METHOD: Final = Rule(
    code="PTG002",
    slug="unknown-method",
    message="{paradigm} has no method {name!r}",
    help="{hint}",
    what="A stage names a method that its paradigm does not have.",
    why="Each paradigm is filled by named methods; `ptgflow stages` lists them with their references.",
)
UNKNOWN_MODEL: Final = Rule(
    code="PTG003",
    slug="unknown-model",
    message="there is no model card {name!r}",
    help="{hint}",
    what="`model=` or the `model` option of a stage names no model card.",
    why="A card says where a model comes from and what it can do. "
    "A checkpoint without a card is named by model.source.",
)
UNKNOWN_KEY: Final = Rule(
    code="PTG004",
    slug="unknown-key",
    message="{owner} has no option {name!r}",
    help="{hint}",
    what="A recipe or an override sets an option that does not exist there.",
    why="An option that is silently ignored makes a result that its settings do not describe.",
)
FLOW_SYNTAX: Final = Rule(
    code="PTG005",
    slug="flow-syntax",
    message="cannot read the flow: {reason}",
    help="write the slots from left to right with >> between them, for example  flow: split >> write >> repair",
    what="The `flow` is not a chain of slot names joined by `>>`.",
    why="The flow is what the compiler checks and schedules.",
)
UNKNOWN_SLOT: Final = Rule(
    code="PTG006",
    slug="unknown-slot",
    message="the flow names the slot {name!r}, but the recipe has no stage of that name",
    help="{hint}",
    what="A name in `flow` has no entry under `stages` (and is not `merge`, the one stage that needs none).",
    why="Every slot must be filled by a method.",
)
UNUSED_SLOT: Final = Rule(
    code="PTG007",
    slug="unused-slot",
    message="the stage {name!r} is declared but the flow {flow!r} does not use it",
    help="{hint}",
    what="A stage stands under `stages` and its slot is not in `flow`.",
    why="Most often it is a typing mistake in one of the two places, and the stage would silently not run.",
)
INVALID_VALUE: Final = Rule(
    code="PTG008",
    slug="invalid-value",
    message="{name} cannot be {value!r}: {reason}",
    help="{hint}",
    what="An option has a value of the wrong type or outside its range.",
    why="The value would be used far from where it was written; here it can still be named.",
)
MALFORMED_FILE: Final = Rule(
    code="PTG009",
    slug="malformed-recipe-file",
    message="cannot read {file!r}: {reason}",
    help="a recipe is a YAML mapping with flow: and stages:; `ptgflow check recipe=ar --cfg job` prints one",
    what="A recipe file is missing, is not YAML, or is not a mapping.",
    why="Nothing in it can be checked until it can be read.",
)
BAD_OVERRIDE: Final = Rule(
    code="PTG010",
    slug="bad-override",
    message="cannot apply {override!r}: {reason}",
    help="{hint}",
    what="An argument after the command is not an override that Hydra understands, or changes nothing that exists.",
    why="Overrides are how a run differs from its recipe; one that cannot be applied must not be skipped.",
)
CODE_IN_RECIPE: Final = Rule(
    code="PTG011",
    slug="code-in-recipe",
    message="{key!r} would name code to run",
    help="remove it; methods are chosen by name: stage@stages.SLOT=PARADIGM/METHOD",
    what="A recipe holds `_target_` or a similar key that would import or call Python.",
    why="A recipe is data. One from a stranger must be safe to run.",
)
UNKNOWN_CHOICE: Final = Rule(
    code="PTG012",
    slug="unknown-choice",
    message="there is no {group} {name!r}",
    help="{hint}",
    what="A configuration group (`executor`, `data`, `accelerate`) has no choice of that name.",
    why="The run would be set up differently from what was asked.",
)
NO_RECIPE: Final = Rule(
    code="PTG013",
    slug="no-recipe",
    message="no recipe was chosen",
    help="add recipe=NAME, for example  recipe=decomp_dv ; `ptgflow recipes` lists them",
    what="A command that needs a recipe was called without one.",
    why="There is no default recipe: which one fits depends on the work.",
)
SHADOWED: Final = Rule(
    code="PTG014",
    slug="shadowed-recipe",
    severity=Severity.NOTE,
    message="{name!r} is taken from {used}, not from the recipes that ship with ptgflow",
    help="rename the file if the shipped one was meant",
    what="A file in `--config-dir` has the name of a shipped one and is used instead of it.",
    why="One's own files come first; a reader of the command line may expect the other.",
)

"""PTG4xx: methods, models and accelerators; PTG9xx: broken rules of ptgflow itself."""

from typing import Final

from ptgflow.diagnostics.model import Rule, Severity

MISSING_CAPABILITY: Final = Rule(
    code="PTG401",
    slug="missing-capability",
    message="{stage} needs capabilities that {model!r} does not declare: {needs} (it declares {has})",
    help="{hint}",
    what="A method asks something of its model that the model card does not declare.",
    why="The stage would fail, or worse, run and write nonsense.",
)
NOT_IMPLEMENTED: Final = Rule(
    code="PTG402",
    slug="method-not-implemented",
    severity=Severity.WARNING,
    message="{stage} is declared and checked, but ptgflow has no implementation of it yet",
    help="{hint}",
    what="A method is in the table with its contract, options and reference, and its code is still to be written.",
    why="Such a recipe compiles, so that it can be designed; `run` refuses it. "
    "Another method is never put in its place.",
)
ACCELERATOR_REFUSED: Final = Rule(
    code="PTG403",
    slug="accelerator-refused",
    message="accelerate.{accelerator}={value} does not go with {stage}",
    help="{hint}",
    what="An accelerator is demanded of a stage that cannot use it (survey, Table 5).",
    why="Keys and values can be reused exactly only where text grows at its end. A single pass has no later pass to "
    "reuse them in; where settled positions change again, reuse is an approximation that must be named.",
)
CACHE_INVALIDATED: Final = Rule(
    code="PTG404",
    slug="cache-invalidated",
    message="{stage}: {reason}",
    help="{hint}",
    what="A cache keeps keys and values of positions that the re-masking method may open again.",
    why="The kept values would belong to tokens that are no longer there.",
)
OPTIONS_CONFLICT: Final = Rule(
    code="PTG406",
    slug="options-conflict",
    message="{stage}: {reason}",
    help="{hint}",
    what="An option is for a choice that another option has not made, or for another place in the flow.",
    why="It would be accepted and change nothing.",
)
MISSING_EXTRA: Final = Rule(
    code="PTG405",
    slug="missing-extra",
    message="{stage} needs the package {package!r}, which is not installed",
    help="pip install 'ptgflow[{extra}]'",
    what="A method needs an optional dependency.",
    why="Heavy dependencies are extras, so that a plain installation stays small.",
)
ILLEGAL_GRAPH: Final = Rule(
    code="PTG901",
    slug="illegal-graph",
    message="after the pass {name!r} the graph breaks a rule of its level: {reason}",
    help="please report this with the recipe; the passes before it were: {before}",
    what="A compiler pass left something that its level does not allow.",
    why="It is a mistake in ptgflow, not in the recipe. The compiler stops before it can do harm.",
)
BROKEN_CONTRACT: Final = Rule(
    code="PTG902",
    slug="broken-contract",
    message="stage {slot!r} ({method}) promised {promised} and left {left}",
    help="please report this with the recipe; if the method is your own, mend its contract or its result",
    what="A method returned something that its declared contract does not allow.",
    why="The stages after it rely on the contract.",
)
DRAFT_TOKENIZER: Final = Rule(
    code="PTG407",
    slug="draft-tokenizer-mismatch",
    message="{stage} has {draft!r} draft for {target!r}, and their tokenizers differ",
    help="choose a draft model with the target's tokenizer, or write {hint}",
    what="A draft model proposes token ids, which mean other words to a model with another tokenizer.",
    why="Encoding the draft's text anew makes it work, and costs time and tokens at the seams; so it is asked for.",
)
NO_DATASTORE: Final = Rule(
    code="PTG409",
    slug="no-datastore",
    message="{stage} has no datastore",
    help="build one: ptgflow train retrieval model={model} data=[FILES] output=FOLDER  , and write "
    "stages.{slot}.datastore=FOLDER",
    what="The drafter `retrieval` proposes what stands in texts of your own, and none were named.",
    why="There is no good default: the texts have to be like those that the model writes.",
)
NO_DRAFT_MODEL: Final = Rule(
    code="PTG408",
    slug="no-draft-model",
    message="{stage} has no draft model",
    help="write stages.{slot}.draft=NAME (a card, or a folder with a checkpoint), or another drafter: "
    "stage@stages.{slot}=draft_verify/ngram",
    what="The drafters `model` and `cascade` propose what a second, smaller model writes, and none was named.",
    why="There is no good default: the draft model has to fit the target.",
)
GUIDE_TOKENIZER: Final = Rule(
    code="PTG410",
    slug="guide-tokenizer-mismatch",
    message="{stage} has {guide!r} guide {target!r}, and their tokenizers differ",
    help="write stages.{slot}.guide=NAME with a card, or a folder with a checkpoint, of the same tokenizer, or null",
    what="A guide reads the token ids that a masked model proposes, which mean other words to another tokenizer.",
    why="What it says about them would be about another text.",
)
NO_GUIDE: Final = Rule(
    code="PTG412",
    slug="no-guide",
    message="{stage} has no autoregressive model that could guide it: {reason}",
    help="write stages.{slot}.guide=NAME (a card, or a folder with a checkpoint), or stages.{slot}.guidance=none",
    what="`agreement` and `apd` ask a model that reads from left to right. A masked model that was adapted from one "
    "has it in itself; to others one has to be named.",
    why="There is no good default: it has to have the same tokenizer, and to read as long a text.",
)
UNUSABLE_PLUGIN: Final = Rule(
    code="PTG411",
    slug="unusable-plugin",
    message="the entry point {name!r} of {package!r} ({value}) offers no methods that can be used: {reason}",
    help="mend it, or do without it: pip uninstall {package}",
    what="An installed package offers methods by an entry point of the group `ptgflow.methods`, which must name a "
    "tuple of `MethodSpec`, each with a name of its own and a contract that its paradigm allows.",
    why="If it were skipped, a recipe would mean one thing where the package loads and another where it does not.",
)

"""PTG1xx: kinds, pairs, tokenizers and guarantees."""

from typing import Final

from ptgflow.diagnostics.model import Rule, Severity

KIND_MISMATCH: Final = Rule(
    code="PTG101",
    slug="kind-mismatch",
    message="{left} leaves {left_kind}, and {right} takes {right_kind}",
    what="Two neighbouring stages do not fit: the kind that one leaves is not among those that the next takes.",
    why="Kinds say what is known about a text: whether it is complete, has a trace, has been judged, or has holes. "
    "A stage that needs what is not there could only make it up.",
)
PAIR_DOES_NOT_COMPOSE: Final = Rule(
    code="PTG102",
    slug="pair-does-not-compose",
    message="{left} and {right} stand on one path, and {left_paradigm} does not compose with {right_paradigm}",
    help="{hint}",
    what="Two stages that are not neighbours belong to paradigms that do not compose (survey, Table 4).",
    why="The stage between them hides the conflict from the types, not from the result. "
    "`compile.pairs=adjacent` checks neighbours only, and the plan then says so.",
)
CANNOT_START: Final = Rule(
    code="PTG103",
    slug="flow-cannot-start",
    message="no input fits the beginning of the flow: {first} takes {takes}",
    help="{hint}",
    what="The first stage takes something that no input option gives.",
    why="A flow starts from a prompt (`prompt=`), a text (`text=`) or a canvas (`canvas=`).",
)
NOTHING_TO_BRIDGE: Final = Rule(
    code="PTG107",
    slug="nothing-to-bridge",
    message="{bridge} opens doubtful tokens of a text again, and no stage before it writes one",
    help="{hint}",
    what="A bridge stands where no stage before it has written anything.",
    why="It reads how likely each token was, which the stage that wrote it knows; of a text that is given (`text=`) "
    "nobody knows it.",
)
TOKENIZER_MISMATCH: Final = Rule(
    code="PTG104",
    slug="tokenizer-mismatch",
    message="{left} and {right} pass token ids on, but their models have different tokenizers",
    help="run both on one model: remove  stages.{right_slot}.model  , or choose models with the same tokenizer",
    what="Two stages on one path run on models whose tokenizers have different fingerprints.",
    why="The same id means different words to them. Vocabularies of equal size can differ.",
)
RETOKENISED: Final = Rule(
    code="PTG108",
    severity=Severity.NOTE,
    slug="retokenised",
    message="{editor} has another tokenizer than the path: the text is encoded anew before and behind it",
    help="nothing is wrong; to spare it, remove  stages.{slot}.model",
    what="An editor runs on a model whose tokenizer is not that of the other stages.",
    why="Editors take words and leave words, so that is no mistake; other stages pass token ids on, and could not. "
    "What is known of a token (its writer, its score) goes over by its characters.",
)
GUARANTEE_NOT_MET: Final = Rule(
    code="PTG105",
    slug="guarantee-not-met",
    message="the recipe demands the guarantee {wanted!r}, but what it makes has {level!r}",
    help="{hint}",
    what="`guarantee:` asks for more than the last stage that changes the text can promise.",
    why="`exact` means equal to greedy decoding of the target, `distribution` the same law as sampling it. "
    "A stage that changes text after verification ends the promise.",
)
UNFILLED_CANVAS: Final = Rule(
    code="PTG106",
    slug="unfilled-canvas",
    message="the flow ends with {last}, which leaves a text with holes",
    help="{hint}",
    what="The last stage leaves a Canvas and nothing fills it.",
    why="A text with mask tokens in it is no answer.",
)

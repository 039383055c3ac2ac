"""6xx, of editors: taggers that cannot be used, grammars that cannot be kept."""

from typing import Final

from ptgflow.diagnostics.model import Rule

BAD_TAGGER: Final = Rule(
    code="PTG661",
    slug="bad-tagger",
    message="cannot use the tagger in {path!r}: {reason}",
    help="check the path and that the download is complete; a tagger is a folder with tagger.onnx, tokenizer.json and "
    "tag_vocab.json, or with a GECToR checkpoint that transformers reads",
    what="The folder of a tagger lacks a file, or one of its files is not what it should be.",
    why="A tagger whose tags or weights are not known would rewrite at random.",
)
BAD_GRAMMAR: Final = Rule(
    code="PTG671",
    slug="bad-grammar",
    message="cannot keep a text to the {kind} {shown}: {reason}",
    help="{hint}",
    what="A JSON schema or a regular expression cannot be read, uses what cannot be enforced token by token, or allows "
    "no text at all.",
    why="Under a grammar that was only kept in part, a text would look checked and not be.",
)
GRAMMAR_UNFINISHED: Final = Rule(
    code="PTG672",
    slug="grammar-unfinished",
    message="stage {slot!r}: no text that the {kind} allows came about within {tokens} new tokens, {attempts}; the "
    "last one ended in {tail!r}",
    help="bound what may be long ({bound}), or give it more room: max_tokens={more}",
    what="The model was kept to a grammar and had not come to its end when the token limit was reached, however far "
    "back it began anew.",
    why="A text that the grammar does not allow is never handed on; without a bound in the grammar a small model may "
    "go on inside of one value for ever.",
)

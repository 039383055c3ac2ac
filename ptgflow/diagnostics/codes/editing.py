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

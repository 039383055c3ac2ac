"""What a tag does to a word: GECToR's basic tags and g-transformations (arXiv 2005.12592, section 3, Table 8)."""

from collections.abc import Mapping
from typing import Final

from ptgflow.engine.edit.tagger.words import CLOSING, OPENING

KEEP: Final = "$KEEP"
DELETE: Final = "$DELETE"
UNKNOWN: Final = frozenset({"@@UNKNOWN@@", "@@PADDING@@", "<PAD>", "<OOV>"})
"""Tags that say nothing: the word is kept."""
START: Final = "$START"
"""What stands before the first word, so that something can be put in front of it."""


Verbs = Mapping[tuple[str, str, str], str]
"""From a word, its form and another form (Penn tags) to the word in that form."""


class UntaggableError(ValueError):
    """A tag that cannot be carried out at this word."""


def rewritten(word: str, tag: str, verbs: Verbs) -> str:
    """The word after a tag that does not touch its neighbours.

    Raises:
        UntaggableError: a verb whose forms are not known, or a tag of no known kind.
    """
    if tag == DELETE:
        return ""
    kind, _, value = tag.partition("_")
    if kind == "$REPLACE":
        return value
    if kind == "$APPEND":
        # A mark stands right behind the word, and a word behind a space, but not behind an opening mark.
        tight = value[:1] in CLOSING or word[-1:] in OPENING
        return f"{word}{value}" if tight else f"{word} {value}"
    if kind == "$CASE" or tag.startswith("$TRANSFORM_CASE_"):
        return _cased(word, tag.rpartition("CASE_")[2])
    if tag.startswith("$TRANSFORM_AGREEMENT_"):
        return word + "s" if tag.endswith("PLURAL") else word[:-1]
    if tag == "$TRANSFORM_SPLIT_HYPHEN":
        return " ".join(word.split("-"))
    if tag.startswith("$TRANSFORM_VERB_"):
        return _verb(word, tag, verbs)
    raise UntaggableError(f"the tag {tag} is of no known kind")


def merges(tag: str) -> str | None:
    """What a tag puts between a word and the next one in the place of what is there; None: it merges nothing."""
    return {"$MERGE_SPACE": "", "$MERGE_HYPHEN": "-"}.get(tag)


def _cased(word: str, how: str) -> str:
    cases = {
        "LOWER": word.lower(),
        "UPPER": word.upper(),
        "CAPITAL": word.capitalize(),
        "CAPITAL_1": word[:1] + word[1:].capitalize(),
    }
    if how not in cases:
        raise UntaggableError(f"there is no case {how}")
    return cases[how]


def _verb(word: str, tag: str, verbs: Verbs) -> str:
    source, _, target = tag.removeprefix("$TRANSFORM_VERB_").partition("_")
    found = verbs.get((word.lower(), source, target))
    if found is None:
        raise UntaggableError(f"no form {target} of {word!r} as {source} is known")
    return found.capitalize() if word[:1].isupper() else found

"""Verb forms, for tags like `$TRANSFORM_VERB_VB_VBZ`: the table that GECToR brings, generated."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import final

from lemminflect import getInflection, getLemma


@final
class VerbForms(Mapping[tuple[str, str, str], str]):
    """From a word, its form and another form to the word in that form; forms are tags of the Penn Treebank."""

    def __getitem__(self, key: tuple[str, str, str]) -> str:
        found = _form(*key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        raise TypeError("there is no end of verbs")

    def __len__(self) -> int:
        raise TypeError("there is no end of verbs")


@lru_cache(maxsize=4096)
def _form(word: str, source: str, target: str) -> str | None:
    """None, where the word is no verb in that form."""
    for lemma in getLemma(word, upos="VERB", lemmatize_oov=False):
        if word in getInflection(lemma, tag=source):
            forms = getInflection(lemma, tag=target)
            if forms:
                return str(forms[0])
    return None

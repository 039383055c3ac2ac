"""A JSON schema or a regular expression as the library `llguidance` enforces it, and how a text is read under it.

Texts are read byte by byte, so that where a text goes wrong is a character and not a token of some model.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, final

from jsonschema import FormatChecker, SchemaError
from jsonschema.validators import validator_for
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from referencing import Registry

from ptgflow.diagnostics.codes.editing import BAD_GRAMMAR
from ptgflow.errors import RunError

Kind = Literal["schema", "regex"]
_END: Final = 256
"""The end token of a vocabulary of bytes."""
_STRETCH: Final = 64
"""Bytes that are read at once at first."""
_SPACES: Final[tuple[Any, ...]] = (
    {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "},
    {"whitespace_pattern": " ?"},
    {"json_allow_general_unicode_escapes": True},
)
"""How JSON is written: as it mostly is, with one space at most, and in any way. A model that may write any white space
may write nothing else, so what is written anew is as in the first of these that the text before it is written in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of a text that may begin a text of the grammar."""

    begin: int
    end: int
    """In characters; behind the last one that may stand there."""
    complete: bool
    """Whether it is a text of the grammar."""

    def __len__(self) -> int:
        return self.end - self.begin


@final
class Grammar:
    """What a text may be."""

    def __init__(self, kind: Kind, source: str) -> None:
        """Compile it.

        Args:
            kind: what the source is.
            source: a JSON schema as JSON, or a regular expression that the whole text has to match.

        Raises:
            RunError: BAD_GRAMMAR.
        """
        self.kind: Final = kind
        self.source: Final = source
        # The end of a text is where the grammar says, so anchors would only say it again.
        self._grammars = [LLMatcher.grammar_from_regex(source)] if kind == "regex" else self._of_schema()
        self._reader = LLMatcher(_bytes(), self._grammars[-1])
        self._first = frozenset(self._may_come())
        self._check()

    def matchers(self, tokenizer: LLTokenizer) -> Iterator[LLMatcher]:
        """Under the tokenizer of a model: of JSON first those that write little space."""
        for grammar in self._grammars:
            yield LLMatcher(tokenizer, grammar, log_level=0)

    def satisfied(self, text: str) -> bool:
        """Whether a text is one of the grammar. A schema is indifferent to the order of keys, which is read in one."""
        end, complete = self._read(text.encode(), 0)
        return (complete and end == len(text)) or self._valid(text)

    def longest(self, text: str) -> Stretch:
        """The longest stretch of a text that may begin a text of the grammar, the first one of equal ones.

        Stretches are looked for one behind the other, as a lexer does, so that a long text is read once or twice. If
        a complete one is as long as another, it is taken.
        """
        data, best, at = text.encode(), Stretch(begin=0, end=0, complete=False), 0
        starts = _starts(data)
        while at < len(text):
            if data[starts[at]] not in self._first:
                at += 1
                continue
            length, complete = self._read(data, starts[at])
            found = Stretch(begin=at, end=at + length, complete=complete)
            if (len(found), found.complete) > (len(best), best.complete):
                best = found
            at = max(found.end, at + 1)
        return best

    def last_complete(self, text: str) -> int | None:
        """The end of the longest beginning of a text that is a text of the grammar; None: there is none."""
        self._reader.reset()
        found = 0 if self._reader.is_accepting() else None
        for end, character in enumerate(text, 1):
            data = list(character.encode())
            if self._reader.try_consume_tokens(data) < len(data):
                break
            if self._reader.is_accepting():
                found = end
        return found

    def _of_schema(self) -> list[str]:
        """Grammars of JSON, the last one with white space as the text has it."""
        try:
            schema: Any = json.loads(self.source)
        except ValueError as error:
            raise self._bad(f"it is not JSON: {error}") from error
        if not isinstance(schema, dict):
            raise self._bad("a schema is a mapping")
        checker: Any = validator_for(schema)
        try:
            # Patterns are those of the library, which speaks of them itself.
            checker.check_schema(schema, format_checker=FormatChecker(()))
        except SchemaError as error:
            raise self._bad(str(error.message)) from error
        # The validator does not look into formats.
        self._validator = None if '"format"' in self.source else checker(schema, registry=Registry())
        return [LLMatcher.grammar_from_json_schema(self.source, overrides=spaces) for spaces in _SPACES]

    def _valid(self, text: str) -> bool:
        """Whether a text is JSON that the schema allows, in whatever order its keys stand."""
        if self.kind == "regex" or self._validator is None:
            return False
        try:
            return bool(self._validator.is_valid(json.loads(text, parse_constant=_refuse)))
        except (ValueError, RecursionError, re.error):
            return False  # The last one: a pattern that only the library can read.

    def _check(self) -> None:
        """Whether there is any text that it allows.

        Raises:
            RunError: BAD_GRAMMAR.
        """
        wrong, messages = LLMatcher.validate_grammar_with_warnings(self._grammars[-1])
        if wrong:
            raise self._bad(messages[0])
        if self._reader.is_error() or not (self._first or self._reader.is_accepting()):
            raise self._bad("there is no text that it allows")

    def _may_come(self) -> Iterator[int]:
        """Which bytes a text may begin with."""
        mask = self._reader.compute_bitmask()
        return (byte for byte in range(_END) if mask[byte // 8] >> byte % 8 & 1)

    def _read(self, data: bytes, start: int) -> tuple[int, bool]:
        """Read from a byte on: how many characters may stand there, and whether they are a text of the grammar."""
        reader, at, size = self._reader, start, _STRETCH
        reader.reset()
        while at < len(data):
            part = list(data[at : at + size])
            taken = reader.try_consume_tokens(part)
            at, size = at + taken, 2 * size
            if taken < len(part):
                break
        if reader.is_error():
            raise self._bad(f"it is too complex to be followed: {reader.get_error().splitlines()[0]}")
        read = data[start:at].decode(errors="ignore")
        reader.rollback(at - start - len(read.encode()))
        return len(read), reader.is_accepting()

    def _bad(self, reason: str) -> RunError:
        return RunError([bad_grammar(self.kind, self.source, reason)])


def bad_grammar(kind: Kind, source: str, reason: str) -> Any:
    """The finding."""
    hints = {
        "schema": "mend the schema; draft 2020-12 without oneOf, not, if and uniqueItems can be enforced",
        "regex": "mend the expression, which all of a text has to match; it has no look-around and no back-references",
    }
    shown = f"{source[:60]!r}" + ("..." if len(source) > 60 else "")
    # The library shows its own notation behind the first line.
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])
    return BAD_GRAMMAR(kind=kind, shown=shown, reason=said, hint=hints[kind])


@final
class _Bytes:
    """A vocabulary of bytes, in the form that the library asks for."""

    eos_token_id: Final = _END
    bos_token_id: Final = None
    tokens: Final = [*(bytes([byte]) for byte in range(_END)), b"<end>"]
    special_token_ids: Final = [_END]

    def __call__(self, text: str | bytes) -> Sequence[int]:
        return list(text.encode() if isinstance(text, str) else text)


@cache
def _bytes() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_Bytes()), n_vocab=_END + 1, eos_token=_END, slices=[])


def _starts(data: bytes) -> list[int]:
    """Where each character begins."""
    return [at for at, byte in enumerate(data) if byte & 0xC0 != 0x80]


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")

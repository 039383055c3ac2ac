"""A text is kept as far as a grammar allows it, and goes on as the model writes under that grammar.

After IterGen (Ugare et al. 2025, arXiv 2410.07295): what is not allowed is cut at the last valid point, and where what
is written from there does not come to an end, the text goes back by symbols of the grammar and is written anew.
"""

from pathlib import Path
from typing import ClassVar, Final, final

from ptgflow.contracts import Text
from ptgflow.diagnostics.codes.editing import GRAMMAR_UNFINISHED
from ptgflow.engine.edit.changes import Change
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.grammar.beginnings import Beginning, beginnings
from ptgflow.engine.grammar.grammar import Grammar, Kind, Stretch, bad_grammar
from ptgflow.engine.grammar.token_mask import TokenMask, begun
from ptgflow.engine.prefixes import shared_length
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.errors import RunError
from ptgflow.stages.base import StageContext, Work
from ptgflow.stages.edit.refining import Refining
from ptgflow.stages.edit.rewriting_options import GrammarOptions

_SHOWN: Final = 24
"""Characters of a text that a reason quotes."""
_BOUNDS: Final[dict[Kind, str]] = {"schema": "maxLength, maxItems, enum", "regex": "{1,40} in the place of +"}


@final
class GrammarEdit(Refining[GrammarOptions]):
    """The target writes; the grammar says what it may write."""

    name: ClassVar[str] = "grammar"

    def __init__(self, options: GrammarOptions) -> None:
        """Compile the grammar.

        Raises:
            RunError: BAD_GRAMMAR.
        """
        super().__init__(options)
        # The compiler refuses a recipe that has neither.
        given = options.json_schema is not None or options.regex is not None
        self._grammar = _compiled(options) if given else None

    @property
    def rounds(self) -> int:
        """What the grammar allows is a fixed point."""
        return 1

    def revise(self, ask: EditAsk, value: Text, context: StageContext) -> Work[Revision]:
        """Cut the text down to what may stand, and let the model go on where that is no whole.

        Raises:
            RunError: GRAMMAR_UNFINISHED.
        """
        del value
        grammar = self._grammar
        assert grammar is not None, "a recipe without a grammar does not compile"
        if grammar.satisfied(ask.text):
            return Revision()
        found = grammar.longest(ask.text)
        if found.complete:
            return Revision(changes=self._around(ask.text, found))
        rest = ask.text[found.begin :]
        starts = beginnings(rest, len(found), context.model, backtracks=self._options.backtracks)
        decoded: Decoded | None = None
        for start in starts:
            decoded = yield self._request(grammar, ask, start, context)
            text = rest[: start.length] + decoded.text
            end = grammar.last_complete(text)
            if end is not None and end >= start.length:
                score = sum(decoded.scores) / max(len(decoded.scores), 1)
                return Revision(changes=self._changes(ask.text, found, start, text[start.length : end], score))
        assert decoded is not None, "there is a place to begin at"
        raise _unfinished(grammar, len(starts), decoded, context)

    def _request(self, grammar: Grammar, ask: EditAsk, start: Beginning, context: StageContext) -> DecodeRequest:
        """The model goes on behind the prompt and what is kept, or as much of the end of it as it can read."""
        model = context.model
        prompt, kept = ask.prompt_ids or (model.codec.start_id,), start.token_ids
        matcher, taken = begun(grammar, model, kept)
        assert taken == len(kept), "what is kept may stand there"
        free = model.context_length - len(prompt)
        room = max(free - min(context.budget, free // 2), 0)
        return DecodeRequest(
            prompt_ids=(*prompt, *kept[max(len(kept) - room, 0) :]),
            max_new_tokens=context.budget,
            sampling=context.generation.sampling.model_copy(update={"logprobs": None}),
            seed=context.seed,
            visible=False,
            constraint=TokenMask(matcher, model),
        )

    def _around(self, text: str, found: Stretch) -> tuple[Change, ...]:
        """What stands around a stretch goes."""
        parts = (
            (0, text[: found.begin], f"not part of what the grammar allows, which begins at character {found.begin}"),
            (found.end, text[found.end :], f"the grammar allows nothing more at character {found.end}"),
        )
        return tuple(Change(begin=at, old=old, new="", by=self.name, why=why) for at, old, why in parts if old)

    def _changes(self, text: str, found: Stretch, start: Beginning, new: str, score: float) -> tuple[Change, ...]:
        """What stands before the stretch goes, and behind what is kept of it stands another text."""
        if found.end < len(text):
            why = f"not allowed by the grammar at character {found.end}: {text[found.end :][:_SHOWN]!r}"
        else:
            why = f"not all that the grammar asks for: the text ends at character {found.end}"
        begin = found.begin + start.length
        if begin < found.end:
            why += f"; written anew from character {begin}"
        before = self._around(text[:begin], Stretch(begin=found.begin, end=begin, complete=False))
        old = text[begin:]
        same = shared_length(old, new)
        old, new = old[same:], new[same:]
        behind = shared_length(old[::-1], new[::-1])
        old, new = old[: len(old) - behind], new[: len(new) - behind]
        return (*before, Change(begin=begin + same, old=old, new=new, by=self.name, why=why, score=score))


def _compiled(options: GrammarOptions) -> Grammar:
    """What the options say.

    Raises:
        RunError: BAD_GRAMMAR.
    """
    if options.regex is not None:
        return Grammar("regex", options.regex)
    given = options.json_schema or ""
    if options.is_inline:
        return Grammar("schema", given)
    try:
        text = Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise RunError([bad_grammar("schema", given, f"the file cannot be read: {error}")]) from error
    return Grammar("schema", text)


def _unfinished(grammar: Grammar, starts: int, decoded: Decoded, context: StageContext) -> RunError:
    finding = GRAMMAR_UNFINISHED(
        slot=context.slot,
        kind=grammar.kind,
        tokens=context.budget,
        attempts="from one place" if starts == 1 else f"from {starts} places, the last one the beginning",
        tail=decoded.text[-_SHOWN:],
        bound=_BOUNDS[grammar.kind],
        more=2 * context.budget,
    )
    return RunError([finding])

"""A model is told to rewrite a text, again and again, and what it writes is taken where it is still that text.

Iterative refinement: Chen et al. 2024, "Iterative Translation Refinement with Large Language Models"; Madaan et al.
2023, Self-Refine, arXiv 2303.17651. The guard is this project's own: a small model that is told to rewrite may as well
answer something else, or say one word for ever.
"""

import difflib
import math
import re
from typing import ClassVar, Final, final

from ptgflow.contracts import Prompt, Text
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.edit.changes import Refusal, between
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.stages.base import StageContext, Work
from ptgflow.stages.decompose.conversation import ask as ask_instead
from ptgflow.stages.edit.likelihood import likelihood
from ptgflow.stages.edit.refining import Refining
from ptgflow.stages.edit.rewriting_options import RewriteOptions

_WORDS: Final = re.compile(r"\w+|[^\w\s]")
_MARGIN: Final = 8
"""Tokens beyond the greatest length, so that a text of that length has room for its end."""


@final
class Rewrite(Refining[RewriteOptions]):
    """The target rewrites, greedily, whatever the run's temperature is."""

    name: ClassVar[str] = "rewrite"

    @property
    def rounds(self) -> int:
        """As the options say."""
        return self._options.rounds

    def revise(self, ask: EditAsk, value: Text, context: StageContext) -> Work[Revision]:
        """Let the model rewrite the text, and hold what it writes against it."""
        old = ask.text.strip()
        if not old:
            return Revision()
        prompt, model = self._prompt(old, value.prompt, context), context.model
        longest = math.ceil(self._options.max_length * len(model.codec.encode(old))) + _MARGIN
        needed = len(prompt.token_ids) + longest
        if needed > model.context_length:
            why = f"the text and another one of its length need {needed} tokens, and {model.name} reads at most"
            return self._refused(ask, "", f"{why} {model.context_length}", context)
        decoded = yield DecodeRequest(
            prompt_ids=prompt.token_ids,
            max_new_tokens=min(longest, context.budget),
            sampling=Sampling(repetition_penalty=context.generation.sampling.repetition_penalty),
            seed=context.seed,
            # What ends the run's texts ends this one, unless the text has it within.
            stop=tuple(one for one in context.generation.stop if one not in old),
            visible=False,
        )
        new = decoded.text.strip()
        if new == old:
            return Revision()
        why, reason = self._compared(old, new, decoded)
        if not reason and self._options.gain is not None:
            gained = yield from self._gained(ask, old, new, context)
            why += f", log-likelihood a token {gained:+.3f}"
            reason = "" if gained >= self._options.gain else f"the log-likelihood a token changes by {gained:+.3f} nats"
        if reason:
            return self._refused(ask, new, reason, context)
        score = sum(decoded.scores) / max(len(decoded.scores), 1)
        begin, end = ask.text.index(old), ask.text.index(old) + len(old)
        whole = ask.text[:begin] + new + ask.text[end:]
        return Revision(changes=between(ask.text, whole, by=self.name, why=why, score=score))

    def _prompt(self, old: str, asked: Prompt | None, context: StageContext) -> Prompt:
        """The request, the text, and what is to be done with it, in the place of the request."""
        request = "" if asked is None else asked.text.strip()
        parts = ([f"Request: {request}"] if request else []) + [f"Text:\n{old}", self._options.instruction]
        words = "\n\n".join(parts)
        if asked is None or not asked.messages:
            return context.prompt((), words if context.generation.chat else words + "\n\n")
        return ask_instead(asked, words, context, prefix="")

    def _compared(self, old: str, new: str, decoded: Decoded) -> tuple[str, str]:
        """How two texts compare, in words; and why the new one is not taken, if so."""
        options = self._options
        length, alike = len(new) / len(old), similarity(old, new)
        why = f"rewritten: {length:.2f} of the length, similarity {alike:.2f}"
        if decoded.finish_reason == "length":
            return why, f"it had no end within {len(decoded.token_ids)} tokens"
        if "\ufffd" in new and "\ufffd" not in old:
            return why, "it has bytes that are no text"
        if not options.min_length <= length <= options.max_length:
            span = f"from {options.min_length:g} to {options.max_length:g}"
            return why, f"it has {length:.2f} of the length, which is not {span}"
        if alike < options.similarity:
            return why, f"its similarity is {alike:.2f}, below {options.similarity:g}"
        return why, ""

    def _gained(self, ask: EditAsk, old: str, new: str, context: StageContext) -> Work[float]:
        """By how much the new text is likelier after the prompt, in nats a token."""
        codec = context.model.codec
        prompt = ask.prompt_ids or (codec.start_id,)
        before = yield from likelihood(prompt, codec.encode(old))
        after = yield from likelihood(prompt, codec.encode(new))
        return after - before

    def _refused(self, ask: EditAsk, new: str, why: str, context: StageContext) -> Revision:
        """The text stays, and it is told why."""
        context.report.refused.append(Refusal(round=ask.round, text=new, by=self.name, why=why))
        return Revision()


def similarity(old: str, new: str) -> float:
    """How much of two texts is the same, in words and marks in their order: 2 * same / (old + new)."""
    one, other = _WORDS.findall(old), _WORDS.findall(new)
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()

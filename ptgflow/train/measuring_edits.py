"""How good the policies of edits are: on answers to prompts that they were not trained on, with mistakes put in."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.policies.deciding import Policies
from ptgflow.engine.edit.policies.editors import Levenshtein, Thresholds
from ptgflow.engine.edit.policies.oracle import aligned
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import EditAsk
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.answers import Answer
from ptgflow.train.corruption import corrupted

NOISE: Final = 0.1
"""Edits for each token."""
ROUNDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuality:
    """Shares; 1 of none."""

    texts: int
    precision: float
    """Of the tokens that are deleted those that the best editor deletes."""
    recall: float
    counts: float
    """Of the gaps of what the best editor leaves those whose number of placeholders is right."""
    gaps: float
    """The same of gaps in which something is missing."""
    restored: float
    """Of the tokens that mistakes have cost those that are there after two rounds."""
    undone: float
    """By how much two rounds bring the texts nearer to what they were, in edits; below 0: they are further away."""
    unchanged: float
    """Of the texts without mistakes those that no round touches."""
    kept: float
    """Of their tokens those that stay."""


@dataclass(frozen=True, slots=True)
class _Text:
    prompt: tuple[int, ...]
    target: tuple[int, ...]
    wrong: tuple[int, ...]


def edit_quality(policies: Policies, model: LoadedModel, answers: Sequence[Answer], *, seed: int) -> EditQuality:
    """Put mistakes into answers, and see what becomes of them, and of the answers themselves."""
    ends, draw = model.codec.eos_ids, random.Random(seed)
    texts: list[_Text] = []
    for one in answers:
        # Tokens of the text alone, as an editor is given it.
        target = tuple(token for token in one.token_ids if token not in ends)
        wrong = corrupted(target, share=NOISE, vocab=model.vocab_size, draw=draw)
        texts += [_Text(one.prompt_ids, target, wrong)] if target else []
    seen: Counter[str] = Counter()
    for text in texts:
        seen += _decisions(policies, text)
    editor = Levenshtein(policies, Thresholds())
    after = _edited(editor, model, [(one.prompt, one.wrong) for one in texts])
    clean = _edited(editor, model, [(one.prompt, one.target) for one in texts])
    for text, edited, same in zip(texts, after, clean, strict=True):
        seen += _outcome(text, edited, same)
    return EditQuality(
        texts=len(texts),
        precision=_share(seen["right"], seen["deleted"]),
        recall=_share(seen["right"], seen["wrong"]),
        counts=_share(seen["counted"], seen["gaps"]),
        gaps=_share(seen["filled"], seen["open"]),
        restored=1.0 - _share(seen["missing after"], seen["missing"]) if seen["missing"] else 1.0,
        undone=1.0 - seen["edits after"] / max(seen["edits"], 1),
        unchanged=_share(seen["unchanged"], len(texts)),
        kept=_share(seen["kept"], sum(len(one.target) for one in texts)),
    )


def _decisions(policies: Policies, text: _Text) -> Counter[str]:
    """What is deleted of a text with mistakes, and where something is missing in what the best editor leaves."""
    truth = [place is None for place in aligned(text.wrong, text.target).places]
    key = next(iter(policies.parts([_ask(text, text.wrong)])))
    gone = (policies.net.deletions(policies.lines({key: text.wrong})[key]) > 0).tolist()
    left = tuple(token for token, out in zip(text.wrong, truth, strict=True) if not out)
    counts = policies.net.counts(policies.lines({key: left})[key]).argmax(dim=-1).tolist()
    policies.free(0)
    wanted = [min(one, policies.net.most) for one in aligned(left, text.target).counts(len(text.target))]
    return Counter(
        {
            "deleted": sum(gone),
            "wrong": sum(truth),
            "right": sum(one and other for one, other in zip(gone, truth, strict=True)),
            "gaps": len(wanted),
            "counted": sum(one == other for one, other in zip(counts, wanted, strict=True)),
            "open": sum(one > 0 for one in wanted),
            "filled": sum(one == other > 0 for one, other in zip(counts, wanted, strict=True)),
        }
    )


def _outcome(text: _Text, after: tuple[int, ...], clean: tuple[int, ...]) -> Counter[str]:
    """What rounds have made of a text with mistakes, and of the one without."""
    before, now = aligned(text.wrong, text.target), aligned(after, text.target)
    kept = aligned(text.target, clean)
    return Counter(
        {
            "missing": len(text.target) - _stay(before.places),
            "missing after": len(text.target) - _stay(now.places),
            "edits": before.edits,
            "edits after": now.edits,
            "unchanged": int(clean == text.target),
            "kept": _stay(kept.places),
        }
    )


def _edited(
    editor: Levenshtein, model: LoadedModel, texts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[tuple[int, ...]]:
    """The tokens of each text after some rounds."""
    loop = EditLoop(model, editor, max_rows=8)
    for prompt, ids in texts:
        text, scores = model.codec.decode(ids), (0.0,) * len(ids)
        loop.admit(
            EditRequest(text=text, token_ids=ids, scores=scores, editor=editor, rounds=ROUNDS, prompt_ids=prompt)
        )
    found: dict[int, tuple[int, ...]] = {}
    while not loop.idle:
        found |= {row: one.token_ids for row, one in loop.round().finished.items()}
    return [found[row] for row in sorted(found)]


def _ask(text: _Text, ids: tuple[int, ...]) -> EditAsk:
    return EditAsk(row=0, text="", token_ids=ids, prompt_ids=text.prompt, round=0)


def _stay(places: Sequence[int | None]) -> int:
    return sum(place is not None for place in places)


def _share(some: int, among: int) -> float:
    return some / among if among else 1.0

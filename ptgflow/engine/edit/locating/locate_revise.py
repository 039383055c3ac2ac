"""Locate and revise: tokens that a model finds unlikely give way to its own, where both sides are likelier for it.

Location is by the token's probability after the text before it, revision by the gain over the token and what follows
it: one pass scores a stretch of text, and a second one, with the candidates as branches of it, scores all candidates
with the words behind them. After RewriteNAT's locator and revisor (Geng et al., EMNLP 2021), with the model's own
judgement in the place of trained ones.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Final, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.edit.changes import Change, between
from ptgflow.engine.edit.locating.known import NOTHING, Better, Branch, Known, Limits, Reading, branches
from ptgflow.engine.edit.locating.proposers import ByTarget, Doubts, Proposer, likeliest, never_written
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree

_READ: Final = 512
"""Tokens of a prompt that are read in a pass."""


@final
class LocateRevise:
    """One model says what is unlikely, what would be likelier, and whether it is."""

    name: ClassVar[str] = "locate_revise"

    def __init__(self, model: LoadedModel, limits: Limits, proposer: Proposer | None = None) -> None:
        """Open a pass of the model.

        Args:
            model: the judge.
            limits: when it doubts, and when it is content.
            proposer: who says what could stand there instead; None: the judge.

        Raises:
            RunError: whatever opening a pass raises.
        """
        self._proposer: Final = proposer or ByTarget()
        self._pass = model.open_pass()
        self._codec = model.codec
        self._context = model.context_length
        self._limits = limits
        self._rows: dict[int, Known] = {}
        self._slots: dict[int, int] = {}
        """Where the prompts are kept."""
        self._never = never_written(model)

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """Score every text; what its last round made less likely goes back, and what is unlikely is revised.

        Raises:
            SlotsFullError: there is no memory for so many.
        """
        try:
            return self._revised(asks)
        except (MemoryError, RuntimeError):
            # Passes may have left anything behind the prompts.
            for ask in asks:
                self._forget(ask.row)
            raise

    def _revised(self, asks: Sequence[EditAsk]) -> list[Revision]:
        readings = [self._reading(ask) for ask in asks]
        self._read(readings, doubting=True)
        revisions = [self._settled(one) for one in readings]
        # Otherwise the next round scores what this one has made.
        unsure = [at for at, ask in enumerate(asks) if ask.last and revisions[at].changes]
        judged = [replace(readings[at], ask=_after(asks[at], revisions[at]), at=0, total=0.0) for at in unsure]
        self._read(judged, doubting=False)
        for at, one in zip(unsure, judged, strict=True):
            if one.mean < one.row.mean:
                revisions[at] = Revision()
        return revisions

    def free(self, row: int) -> None:
        """Drop a text's keys and values."""
        self._rows.pop(row, None)
        self._forget(row)

    def _forget(self, row: int) -> None:
        if row in self._slots:
            self._pass.cache.free(self._slots.pop(row))

    def _reading(self, ask: EditAsk) -> Reading:
        """A text whose prompt is read, but for its last token."""
        if ask.row not in self._rows:
            self._rows[ask.row] = Known(ask.prompt_ids or (self._codec.start_id,))
        row = self._rows[ask.row]
        if ask.row not in self._slots:
            self._slots[ask.row] = self._pass.cache.admit()
            self._take_in(self._slots[ask.row], row.prompt[:-1])
        return Reading(ask, row, self._slots[ask.row])

    def _take_in(self, slot: int, tokens: Sequence[int]) -> None:
        """Read what is not scored."""
        for begin in range(0, len(tokens), _READ):
            some = tuple(tokens[begin : begin + _READ])
            self._pass([RowInput(row=slot, tokens=some, wanted=False)])
            self._pass.cache.commit({slot: range(len(some))})

    def _make_room(self, one: Reading) -> None:
        """A text that is longer than the model's context goes on behind its prompt and half of what has room there."""
        prompt, slot, ids = one.row.prompt, one.slot, one.ask.token_ids
        needed = 1 + len(one.shown(self._limits.ahead))
        if self._pass.cache.length(slot) + needed <= self._context or not one.at:
            return
        kept = max((self._context - len(prompt) - needed) // 2, 1)
        self._pass.cache.rollback(slot, len(prompt) - 1)
        self._take_in(slot, (prompt[-1], *ids[max(one.at - kept, 0) : one.at - 1]))

    def _read(self, readings: Sequence[Reading], *, doubting: bool) -> None:
        """Score whole texts, and look for better tokens where one is in doubt."""
        going = [one for one in readings if one.ask.token_ids]
        while going:
            self._score(going, doubting=doubting)
            going = [one for one in going if one.at < len(one.ask.token_ids)]
        for one in readings:
            self._pass.cache.rollback(one.slot, len(one.row.prompt) - 1)

    def _score(self, readings: Sequence[Reading], *, doubting: bool) -> None:
        """One stretch of each text: its tokens' laws, and then what is better at those that are unlikely."""
        for one in readings:
            self._make_room(one)
        laws = self._laws(readings, [TokenTree.chain(one.shown(self._limits.ahead)) for one in readings])
        doubted = [self._doubted(one, law) for one, law in zip(readings, laws, strict=True)]
        if not doubting:
            doubted = [[] for _ in readings]
        self._keep([one for one, places in zip(readings, doubted, strict=True) if not places])
        branching = [
            Doubts(reading=one, law=law, places=places)
            for one, law, places in zip(readings, laws, doubted, strict=True)
            if places
        ]
        if branching:
            self._branch(branching)

    def _branch(self, doubts: Sequence[Doubts]) -> None:
        """Try what could stand in the doubtful places of each stretch."""
        proposed = self._proposer.laws(doubts)
        count, ahead = self._limits.candidates, self._limits.ahead
        grown = [
            branches(one.reading, likeliest(one, law, self._never, count), ahead)
            for one, law in zip(doubts, proposed, strict=True)
        ]
        readings = [one.reading for one in doubts]
        scored = self._laws(readings, [tree for tree, _ in grown])
        for one, (_, tried), scores in zip(doubts, grown, scored, strict=True):
            one.reading.found += self._better(one.reading, one.law, tried, scores)
        self._keep(readings)

    def _keep(self, readings: Sequence[Reading]) -> None:
        """The stretch of each, whose last token is read with the next one, stays in the cache."""
        self._pass.cache.commit({one.slot: range(len(one.stretch)) for one in readings})
        for one in readings:
            one.at = one.stretch.stop

    def _laws(self, readings: Sequence[Reading], trees: Sequence[TokenTree]) -> list[Float[Tensor, "nodes vocab"]]:
        """Log-probabilities after the token before each stretch, and after each node behind it."""
        inputs = [
            RowInput(row=one.slot, tokens=(one.ask.token_ids[one.at - 1] if one.at else one.row.prompt[-1],), tree=tree)
            for one, tree in zip(readings, trees, strict=True)
        ]
        laws = self._pass(inputs).log_softmax(dim=-1)
        return list(torch.split(laws, [1 + len(tree) for tree in trees]))

    def _doubted(self, one: Reading, law: Float[Tensor, "nodes vocab"]) -> list[int]:
        """Places of the stretch whose token is unlikely, and for which nothing was tried in vain."""
        tokens = torch.tensor([one.ask.token_ids[place] for place in one.stretch], device=law.device)
        scores = law[: len(tokens)].gather(1, tokens[:, None])[:, 0]
        one.total += float(scores.sum())
        unlikely = (scores <= math.log(self._limits.weak)).nonzero()[:, 0].tolist()
        # A text without a prompt begins with whatever its writer began with.
        first = 0 if one.ask.prompt_ids else 1
        places = [one.at + at for at in unlikely if one.at + at >= first]
        return [place for place in places if (place, one.ask.token_ids[place]) not in one.row.tried]

    def _better(
        self,
        one: Reading,
        law: Float[Tensor, "nodes vocab"],
        tried: Sequence[Branch],
        scores: Float[Tensor, "nodes vocab"],
    ) -> Iterator[Better]:
        """For each place its best candidate, where that is better by enough."""
        best: dict[int, Better] = {}
        for branch in tried:
            place, ids = branch.place, one.ask.token_ids
            at, behind = place - one.at, ids[place + 1 : place + 1 + self._limits.ahead]
            path = behind if branch.token == NOTHING else (branch.token, *behind)
            if not path or (not place and branch.token == NOTHING):
                continue
            # The line after node n is one further on, as the first one is after the token before the stretch.
            lines = [scores[at], *(scores[node + 1] for node in branch.nodes[:-1])]
            own = [float(line[token]) for line, token in zip(lines, path, strict=True)]
            plain = [float(law[at + step, token]) for step, token in enumerate((ids[place], *behind))]
            # A token does not go because it is unlikely: what stands behind it has to be likelier without it.
            gain = sum(own) - sum(plain[1:] if branch.token == NOTHING else plain)
            if place not in best or gain > best[place].gain:
                after = 0.0 if branch.token == NOTHING else own[0]
                best[place] = Better(place, branch.token, gain, plain[0], after)
        for place, found in best.items():
            if found.gain >= self._limits.gain:
                yield found
            else:
                one.row.tried.add((place, one.ask.token_ids[place]))

    def _settled(self, one: Reading) -> Revision:
        """What the round makes of a text."""
        ask, row = one.ask, one.row
        if one.mean < row.mean:
            # Two revisions that help alone need not help together. The text before is known, so it is the last.
            why = f"taken back: log-likelihood a token {one.mean:.3f} below {row.mean:.3f}"
            return Revision(changes=between(ask.text, row.text, by=self.name, why=why), token_ids=row.token_ids)
        row.mean, row.text, row.token_ids = one.mean, ask.text, ask.token_ids
        ids, changes = [[token] for token in ask.token_ids], []
        for better in self._apart(one.found):
            change = self._change(ask, better)
            if change is None:
                row.tried.add((better.place, ask.token_ids[better.place]))
            else:
                changes.append(change)
                ids[better.place] = [] if better.token == NOTHING else [better.token]
        if changes:
            # Places move, and what stands around them is another one.
            row.tried.clear()
        return Revision(changes=tuple(changes), token_ids=tuple(itertools.chain.from_iterable(ids)))

    def _apart(self, found: Sequence[Better]) -> list[Better]:
        """The best ones of which none is in what another was judged by, in the order of the text."""
        taken: list[Better] = []
        for one in sorted(found, key=lambda better: -better.gain):
            if all(abs(one.place - other.place) > self._limits.ahead for other in taken):
                taken.append(one)
        return sorted(taken, key=lambda better: better.place)

    def _change(self, ask: EditAsk, better: Better) -> Change | None:
        """The change in characters; None where a token begins or ends inside of one."""
        ids, place = ask.token_ids, better.place
        before = self._codec.decode(ids[:place])
        old = self._codec.decode(ids[: place + 1])[len(before) :]
        new = before if better.token == NOTHING else self._codec.decode((*ids[:place], better.token))
        whole = ask.text.startswith(before + old) and new.startswith(before) and "\ufffd" not in old + new
        new = new[len(before) :]
        # What parts words stays: a word does not become the end of the one before it.
        if not whole or not old or new == old or (new and _space(old) != _space(new)):
            return None
        odds = f"{math.exp(better.before):.3f}" + (f" -> {math.exp(better.after):.3f}" if new else " -> none")
        return Change(
            begin=len(before),
            old=old,
            new=new,
            by=self.name,
            why=f"probability {odds}, gain {better.gain:.1f} nats",
            score=better.after,
        )


def _after(ask: EditAsk, revision: Revision) -> EditAsk:
    """The text that a revision makes."""
    assert revision.token_ids is not None, "revisions of this editor say which tokens they leave"
    return replace(ask, token_ids=revision.token_ids)


def _space(piece: str) -> str:
    """The space that a token begins with."""
    return piece[: len(piece) - len(piece.lstrip())]

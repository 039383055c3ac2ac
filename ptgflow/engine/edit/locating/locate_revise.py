"""Locate and revise: tokens that a model finds unlikely give way to its own, where both sides are likelier for it.

Location is by the token's probability after the text before it, revision by the gain over the token and what follows
it: one pass scores a stretch of text, and a second one, with the candidates as branches of it, scores all candidates
with the words behind them. After RewriteNAT's locator and revisor (Geng et al., EMNLP 2021), with the model's own
judgement in the place of trained ones.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.edit.changes import Change, between
from ptgflow.engine.edit.locating.known import NOTHING, Better, Branch, Limits, Reading, branches
from ptgflow.engine.edit.locating.proposers import ByTarget, Doubts, Proposer, likeliest, never_written
from ptgflow.engine.edit.locating.scorer import Scorer
from ptgflow.engine.edit.rules import EditAsk, Revision
from ptgflow.engine.models.model import LoadedModel


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
        self._scorer = Scorer(model)
        self._codec = model.codec
        self._limits = limits
        self._never = never_written(model)

    def revise(self, asks: Sequence[EditAsk]) -> list[Revision]:
        """Score every text; what its last round made less likely goes back, and what is unlikely is revised.

        Raises:
            SlotsFullError: there is no memory for so many.
        """
        try:
            return self._revised(asks)
        except (MemoryError, RuntimeError):
            # A pass may have left anything.
            for ask in asks:
                self._scorer.drop(ask.row)
            raise

    def free(self, row: int) -> None:
        """Drop what is known of a text."""
        self._scorer.free(row)

    def _revised(self, asks: Sequence[EditAsk]) -> list[Revision]:
        readings = self._read(asks, doubting=True)
        revisions = [self._settled(one) for one in readings]
        # Otherwise the next round scores what this one has made.
        unsure = [at for at, ask in enumerate(asks) if ask.last and revisions[at].changes]
        judged = self._read([_after(asks[at], revisions[at]) for at in unsure], doubting=False)
        for at, one in zip(unsure, judged, strict=True):
            if one.mean < one.row.mean:
                revisions[at] = Revision()
        return revisions

    def _read(self, asks: Sequence[EditAsk], *, doubting: bool) -> list[Reading]:
        """Score whole texts, and look for better tokens where one is in doubt."""
        ahead = self._limits.ahead
        readings = [self._scorer.opened(one, ahead) for one in asks]
        while going := [one for one in readings if one.at < len(one.ask.token_ids)]:
            begins = [one.at for one in going]
            laws = self._scorer.score(going, ahead)
            if doubting:
                doubts = [
                    Doubts(reading=one, begin=begin, law=law, places=places)
                    for one, begin, law in zip(going, begins, laws, strict=True)
                    if (places := self._doubted(one, begin))
                ]
                self._branch(doubts)
        return readings

    def _doubted(self, one: Reading, begin: int) -> list[int]:
        """Places since `begin` whose token is unlikely, and for which nothing was tried in vain."""
        ids, row, weak = one.ask.token_ids, one.row, math.log(self._limits.weak)
        # A text without a prompt begins with whatever its writer began with.
        first = max(begin, 0 if one.ask.prompt_ids else 1)
        return [at for at in range(first, one.at) if row.scored[at] <= weak and (at, ids[at]) not in row.tried]

    def _branch(self, doubts: Sequence[Doubts]) -> None:
        """Try what could stand in the doubtful places of each stretch."""
        if not doubts:
            return
        at = [(one, place) for one in doubts for place in one.places]
        tokens = [
            several
            for one, law in zip(doubts, self._proposer.laws(doubts), strict=True)
            for several in likeliest(one, law, self._never, self._limits.candidates)
        ]
        grown = [
            branches(one.reading.behind(place, self._limits.ahead), several, first=not place)
            for (one, place), several in zip(at, tokens, strict=True)
        ]
        scored = self._scorer.branch([(one.reading, place) for one, place in at], [tree for tree, _ in grown])
        for (one, place), (_, tried), scores in zip(at, grown, scored, strict=True):
            best = self._best(one, place, tried, scores)
            if best is not None and best.gain >= self._limits.gain:
                one.reading.found.append(best)
            else:
                one.reading.row.tried.add((place, one.reading.ask.token_ids[place]))

    def _best(
        self, one: Doubts, place: int, tried: Sequence[Branch], scores: Float[Tensor, "nodes vocab"]
    ) -> Better | None:
        """The best branch of a place, if there is one."""
        now = (one.reading.ask.token_ids[place], *one.reading.behind(place, self._limits.ahead))
        lines = range(place - one.begin, place - one.begin + len(now))
        plain = one.law[lines, now].tolist()
        found: list[Better] = []
        for branch in tried:
            # The line after node n is one further on, as the first one is after the token before the place.
            own = scores[[0, *(node + 1 for node in branch.nodes)], branch.path].tolist()
            # A token does not go because it is unlikely: what stands behind it has to be likelier without it.
            if branch.token == NOTHING:
                found.append(Better(place, NOTHING, sum(own) - sum(plain[1:]), plain[0], 0.0))
            else:
                found.append(Better(place, branch.token, sum(own) - sum(plain), plain[0], own[0]))
        return max(found, key=lambda better: better.gain, default=None)

    def _settled(self, one: Reading) -> Revision:
        """What the round makes of a text."""
        ask, row = one.ask, one.row
        if one.mean < row.mean:
            # Two revisions that help alone need not help together. The text before is known, so it is the last.
            why = f"taken back: log-likelihood a token {one.mean:.3f} below {row.mean:.3f}"
            return Revision(changes=between(ask.text, row.text, by=self.name, why=why), token_ids=row.token_ids)
        row.mean, row.text, row.token_ids = one.mean, ask.text, ask.token_ids
        can = {better: change for better in one.found if (change := self._change(ask, better)) is not None}
        row.tried |= {(better.place, ask.token_ids[better.place]) for better in one.found if better not in can}
        ids, changes = [[token] for token in ask.token_ids], []
        for better in self._apart(list(can)):
            changes.append(can[better])
            ids[better.place] = [] if better.token == NOTHING else [better.token]
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

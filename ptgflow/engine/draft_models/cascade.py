"""Cascades of drafters: n-grams draft for the draft model, and go on where it stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.growth.builder import Candidates, Sprout, TreeBuilder, Wanted
from ptgflow.engine.growth.tree_drafter import GRADES, TreeDrafter
from ptgflow.engine.lookup.drafter import Continuations
from ptgflow.engine.request import Ask, Proposal

Path = tuple[int, ...]


@dataclass(slots=True)
class _Round:
    """What the draft model was asked behind one text."""

    asked: Sprout = field(default_factory=Sprout)
    """All that it has read: nodes of the draft, and n-grams that it was to check. It only ever grows."""
    nodes: dict[Path, int] = field(default_factory=lambda: {(): -1})
    found: dict[Path, Candidates] = field(default_factory=dict[Path, Candidates])
    """What it said, by the path from the text."""


@final
class CascadeDrafter(TreeDrafter):
    """CS Drafting (Chen et al., arXiv 2312.11462, algorithm 1) with two drafters: a draft model, and n-grams.

    Vertical cascade (section 3.1): the draft model does not write token by token. In the pass in which it says what may
    follow a node it reads what n-grams foresee there, and where they are right it has already said what comes next; so
    its drafts are those that it would write alone, in fewer passes. Horizontal cascade (section 3.2): the first tokens
    of a draft, which are likeliest to be kept, are its own, and the later ones are the n-grams'.
    """

    taps: tuple[int, ...] = ()

    def __init__(
        self,
        model: ModelDrafter,
        open_row: Callable[[], Continuations],
        builder: TreeBuilder,
        *,
        size: int,
        first: int,
        ahead: int,
        least: float = 0.0,
    ) -> None:
        """Make a drafter.

        Args:
            model: the draft model, with trees of the same width.
            open_row: makes the n-grams of a new row.
            builder: the shape of the trees.
            size: most nodes of a tree.
            first: of how many levels the candidates are the draft model's; those below are the n-grams'.
            ahead: most tokens of n-grams that the draft model reads along in a pass.
            least: candidates of a smaller chance are not drafted.
        """
        super().__init__(builder, size=size, least=least)
        assert model.width >= builder.width, "the draft model says as much as the trees have room for"
        self._model, self._open = model, open_row
        self._first, self._ahead = first, ahead
        self._grams: dict[int, Continuations] = {}
        self._rounds: dict[int, _Round] = {}

    def read(self, row: int, tokens: Sequence[int], states: Float[Tensor, "tokens features"]) -> None:
        """Pass on."""
        self._model.read(row, tokens, states)

    def fork(self, row: int, source: int, length: int) -> None:
        """Pass on; the n-grams are given the text with each question."""
        self._model.fork(row, source, length)

    def forget(self, row: int) -> None:
        """Give the row's slots back, and close its n-grams."""
        self._model.forget(row)
        known = self._grams.pop(row, None)
        if known is not None:
            known.close()

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        """A tree for each row. What n-grams foresee has grades of its own."""
        return [self._graded(one) for one in super().propose(asks)]

    def _graded(self, proposal: Proposal) -> Proposal:
        depths = proposal.tree.depths
        grades = (grade + GRADES * (depth >= self._first) for grade, depth in zip(proposal.grades, depths, strict=True))
        return replace(proposal, grades=tuple(grades))

    def ready(self, asks: Sequence[Ask]) -> list[bool]:
        for ask in asks:
            if ask.row not in self._grams:
                self._grams[ask.row] = self._open()
            self._grams[ask.row].advance(ask.context)
        self._rounds = {ask.row: _Round() for ask in asks}
        return self._model.ready(asks)

    def settled(self, asks: Sequence[Ask]) -> None:
        self._model.settled(asks)

    def expand(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Wanted]]) -> list[list[Candidates]]:
        paths = [
            [tuple(one.tree.tokens[step] for step in one.tree.path(node)) for node in one.nodes] for _, one in wanted
        ]
        self._ask_model(asks, [(at, mine) for (at, _), mine in zip(wanted, paths, strict=True)])
        return [
            [
                self._rounds[asks[at].row].found[path]
                if len(path) < self._first
                else self._grams[asks[at].row].after(path, self.width)
                for path in mine
            ]
            for (at, _), mine in zip(wanted, paths, strict=True)
        ]

    def _ask_model(self, asks: Sequence[Ask], wanted: Sequence[tuple[int, Sequence[Path]]]) -> None:
        """One pass of the draft model over what it has not said yet, with the n-grams that follow there."""
        questions: list[tuple[int, Wanted]] = []
        answered: list[tuple[_Round, list[Path]]] = []
        for at, paths in wanted:
            known = self._rounds[asks[at].row]
            missing = [path for path in paths if len(path) < self._first and path not in known.found]
            if not missing:
                continue
            missing += [path for one in missing for path in self._foreseen(asks[at], one) if path not in known.found]
            missing = list(dict.fromkeys(missing))
            nodes = tuple(_placed(known, path) for path in missing)
            questions.append((at, Wanted(known.asked.tree, nodes)))
            answered.append((known, missing))
        if questions:
            for (known, paths), found in zip(answered, self._model.expand(asks, questions), strict=True):
                known.found.update(zip(paths, found, strict=True))

    def _foreseen(self, ask: Ask, path: Path) -> list[Path]:
        """The paths that n-grams foresee below one, as far as the draft model is asked."""
        found: list[Path] = []
        while len(path) + 1 < self._first and len(found) < self._ahead:
            following = self._grams[ask.row].after(path, 1).tokens
            if not following:
                break
            path = (*path, following[0])
            found.append(path)
        return found


def _placed(known: _Round, path: Path) -> int:
    """The node of a path among those that the draft model is asked about, which is there from now on."""
    node = known.nodes.get(path)
    if node is None:
        parent = _placed(known, path[:-1])
        node = known.nodes[path] = known.asked.add(parent, path[-1], 1.0)
    return node

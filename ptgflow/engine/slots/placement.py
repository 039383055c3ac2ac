"""Where one pass reads and writes: the tokens of all rows one after the other, and which slots each of them may see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ptgflow.engine.slots.storage import Bucket
from ptgflow.engine.trees import TokenTree


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """What one row brings to a pass."""

    length: int
    """Valid slots of the row: the first new token goes to the next one."""
    tokens: tuple[int, ...]
    """Tokens that follow the row's text one after the other: at least one."""
    tree: TokenTree
    """Tokens that may follow them."""
    again: int = 0
    """How many of these, tokens and then nodes, the pass before has written: they are seen and not computed."""
    mutual: bool = False
    """Whether nodes see those behind them, too; see `RowInput.mutual`."""

    @property
    def start(self) -> int:
        """The slot of the first token that is computed."""
        return self.length + self.again

    @property
    def end(self) -> int:
        """The slot behind the last one."""
        return self.length + len(self.tokens) + len(self.tree)

    @property
    def count(self) -> int:
        """Tokens that are computed."""
        return self.end - self.start

    @property
    def told(self) -> int:
        """The first of these after which logits can be wanted: the last token of the text, or the first node."""
        return max(len(self.tokens) - 1 - self.again, 0)

    @property
    def ids(self) -> list[int]:
        return [*self.tokens, *self.tree.tokens][self.again :]

    @property
    def positions(self) -> list[int]:
        """The position of each: a node's follows from its depth, not from its slot."""
        return self.all_positions[self.again :]

    @property
    def all_positions(self) -> list[int]:
        """Those of what is written already, too."""
        start = self.length + len(self.tokens)
        return [*range(self.length, start), *(start + depth for depth in self.tree.depths)]

    def sees(self) -> Bool[Tensor, "new all"]:
        """Which tokens, of those written already and the new ones, each new token may see: what leads to it, itself."""
        pending = len(self.tokens)
        size = pending + len(self.tree)
        seen = torch.ones(size, size, dtype=torch.bool).tril()
        if self.mutual:
            seen[pending:, pending:] = self._mutual()
            return seen[self.again :]
        for node in range(len(self.tree)):
            seen[pending + node, pending:] = False
            seen[pending + node, [pending + step for step in self.tree.path(node)]] = True
        return seen[self.again :]

    def _mutual(self) -> Bool[Tensor, "nodes nodes"]:
        """Which nodes each node sees, where those behind it count, too."""
        depths, parents = self.tree.depths, self.tree.parents
        stem = next((node for node, parent in enumerate(parents) if parent != node - 1), len(parents))
        branches: dict[int, list[int]] = {}
        for node in range(stem, len(parents)):
            branches.setdefault(next(one for one in self.tree.path(node) if one >= stem), []).append(node)
        seen = torch.zeros(len(parents), len(parents), dtype=torch.bool)
        seen[:, :stem] = True
        for branch in branches.values():
            rows = torch.tensor(branch)[:, None]
            seen[rows, [depths[node] for node in branch if depths[node] < stem]] = False
            seen[rows, branch] = True
        return seen


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Rows that lie next to each other in one bucket: one attention call for all of them.

    The pass sees them padded on the left to one width, so that the last tokens of all stand in the last columns.
    """

    bucket: Bucket
    first: int
    """Where the first row lies; the others follow it."""
    rows: tuple[NewTokens, ...]
    begin: int
    """Its first token among all tokens of the pass."""
    width: int
    """Columns: at least the most new tokens that a row has."""

    @cached_property
    def end(self) -> int:
        return self.begin + sum(row.count for row in self.rows)

    @property
    def last(self) -> int:
        return self.first + len(self.rows)

    @cached_property
    def even(self) -> bool:
        """Whether no row is padded."""
        return all(row.count == self.width for row in self.rows)

    @cached_property
    def slots(self) -> Int[Tensor, " tokens"]:
        """Where each new token is written: `row number * capacity + slot`."""
        capacity = self.bucket.capacity
        at = [
            (self.first + number) * capacity + slot
            for number, row in enumerate(self.rows)
            for slot in range(row.start, row.end)
        ]
        return self.bucket.shape.index(at)

    @cached_property
    def columns(self) -> Int[Tensor, " tokens"]:
        """Where each new token stands in the padded form: `row number in the group * width + column`."""
        at = [
            number * self.width + column
            for number, row in enumerate(self.rows)
            for column in range(self.width - row.count, self.width)
        ]
        return self.bucket.shape.index(at)

    def shown(self, layer: int) -> tuple[Tensor, Tensor]:
        """A layer's keys and values of the group's rows, each `[rows, heads, capacity, size]`: views, not copies."""
        return self.bucket.shown(layer, self.first, self.last)

    def visible(self, window: int | None = None) -> Bool[Tensor, "rows width capacity"]:
        """Which slots each padded column may see; with `window`, of those within so many positions, its own included.

        A column of padding sees what the row's first new token sees, so that no column sees nothing.
        """
        device, slot = self.bucket.shape.device, torch.arange(self.bucket.capacity, device=self.bucket.shape.device)
        starts = self.bucket.shape.index([row.start for row in self.rows])[:, None, None]
        counts = self.bucket.shape.index([row.count for row in self.rows])[:, None, None]
        order = torch.arange(self.width, device=device)[None, :, None] - (self.width - counts)
        query = starts + order.clamp(min=0)
        # As if each row were a chain, where a token's slot is its position; rows with a wider tree are put right below.
        seen = slot <= query
        if window is not None:
            seen &= slot > query - window
        for number, row in enumerate(self.rows):
            if row.mutual or not row.tree.is_chain:
                seen[number, self.width - row.count :] = self._seen_by_tree(row, window).to(device)
        return seen

    def _seen_by_tree(self, row: NewTokens, window: int | None) -> Bool[Tensor, "new capacity"]:
        capacity = self.bucket.capacity
        seen = torch.zeros(row.count, capacity, dtype=torch.bool)
        seen[:, : row.length] = True
        seen[:, row.length : row.end] = row.sees()
        if window is not None:
            query = torch.tensor(row.positions)
            position = torch.arange(capacity)
            position[row.length : row.end] = torch.tensor(row.all_positions)
            seen &= position > query[:, None] - window
        return seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """One pass: its tokens group by group, row by row, and which of them the caller wants logits of."""

    groups: tuple[Group, ...]
    tokens: Int[Tensor, " tokens"]
    positions: Int[Tensor, " tokens"]
    wanted: Int[Tensor, " wanted"]
    """In the order in which the caller listed the rows."""
    spans: tuple[tuple[int, int], ...]
    """For each row in the caller's order its first token and how many it has."""

    def listed(self, values: Tensor) -> Tensor:
        """A line for each token, put into the caller's order."""
        if all(a[0] + a[1] == b[0] for a, b in zip(self.spans, self.spans[1:], strict=False)):
            return values
        return torch.cat([values[start : start + count] for start, count in self.spans])


def groups_of(buckets: Iterable[Bucket], new: Mapping[int, NewTokens]) -> tuple[Group, ...]:
    """Runs of rows that lie next to each other in their bucket and are all in the pass.

    The widest row sets the width of all, so one that brings a long stretch of a prompt is a group of its own.
    """
    groups: list[Group] = []
    begin = 0
    for bucket in buckets:
        for run in _runs(bucket.members, new):
            rows = tuple(new[bucket.members[at]] for at in run)
            width = max(row.count for row in rows)
            groups.append(Group(bucket=bucket, first=run[0], rows=rows, begin=begin, width=width))
            begin += sum(row.count for row in rows)
    return tuple(groups)


_NARROW: Final = 64
"""Rows of at most so many new tokens share one attention call."""


def _runs(members: Sequence[int], new: Mapping[int, NewTokens]) -> list[list[int]]:
    """The places of the rows that are in the pass, in runs without a gap."""
    runs: list[list[int]] = []
    open_run = False
    for at, row in enumerate(members):
        wide = row in new and new[row].count > _NARROW
        if row not in new:
            open_run = False
        elif open_run and not wide:
            runs[-1].append(at)
        else:
            runs.append([at])
            open_run = not wide
    return runs

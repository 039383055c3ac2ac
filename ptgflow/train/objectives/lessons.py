"""Texts with mistakes, what the best editor does with them, and what the model makes of them: read once, then kept."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.gated_pass import GatedPass
from ptgflow.engine.edit.policies.oracle import aligned, pointers
from ptgflow.engine.edit.policies.reading import TextReader
from ptgflow.engine.edit.policies.sighting import FACTS, Sighting
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.train.corruption import Likely, corrupted
from ptgflow.train.objectives.kept_file import KeptFile

LIKELY: Final = 8
"""Tokens of a place from which a plausible mistake is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """How texts are corrupted."""

    clean: float = 0.15
    """Share of texts that are left as they are."""
    noise: tuple[float, float] = (0.02, 0.25)
    """Least and largest number of edits for each token of the others."""
    plausible: float = 0.5
    """Share of texts whose wrong tokens are such as the model could have written."""
    slips: float = 0.1
    """Share of wrong tokens that are still there where placeholders are learnt: no policy finds all."""


class AnsweredText(NamedTuple):
    """What is corrupted."""

    prompt: tuple[int, ...]
    target: tuple[int, ...]
    ended: bool
    """Whether the target is all that there is: nothing is known of what stands behind one that was cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One text, twice: with its mistakes, and after what the best editor deletes."""

    wrong: tuple[bool, ...]
    """Which of its tokens are to go."""
    moves: tuple[int | None, ...]
    """From how many places further on each gets its token; None: it goes."""
    counts: tuple[int, ...]
    """What is missing in each gap of the second text of which that is known."""
    whole: Sighting
    left: Sighting


@dataclass(frozen=True, slots=True)
class _Drawn:
    source: tuple[int, ...]
    wrong: tuple[bool, ...]
    moves: tuple[int | None, ...]
    left: tuple[int, ...]
    counts: tuple[int, ...]


@final
class Lessons:
    """The mistakes of a text follow from the seed, the text and the version alone."""

    def __init__(
        self, config: HeadConfig, adapters: Heads, model: LoadedModel, mistakes: Mistakes, *, folder: Path, seed: int
    ) -> None:
        """Prepare.

        Args:
            config: of the heads that learn.
            adapters: of kind `masked`, which texts are read with.
            model: the target.
            mistakes: that are put in.
            folder: where what is read is kept.
            seed: of the draws.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out; or FILE_PROBLEM.
        """
        assert config.block_length, "heads know the width of a window"
        assert config.reach, "a token can be moved"
        self._reader = TextReader(GatedPass(adapters, model), config.taps, config.block_length)
        self._mistakes, self._seed, self._reach = mistakes, seed, config.reach
        self._vocab, self._device = model.vocab_size, model.device
        self._columns = 2 * len(config.taps) * model.hidden_size + FACTS
        self._file = KeptFile(folder, "kept lessons")
        self._known: dict[tuple[AnsweredText, int], tuple[_Drawn, int, int]] = {}

    def of(self, texts: Sequence[tuple[AnsweredText, int]]) -> list[Lesson]:
        """The lesson of each version of each text.

        Raises:
            RunError: FILE_PROBLEM, when the disk is full.
        """
        missing = list(dict.fromkeys(one for one in texts if one not in self._known))
        if missing:
            self._read(missing)
        found: list[Lesson] = []
        for one in texts:
            drawn, whole, left = self._known[one]
            first = self._kept(whole, len(drawn.source))
            second = first if whole == left else self._kept(left, len(drawn.left))
            found.append(Lesson(drawn.wrong, drawn.moves, drawn.counts, first, second))
        return found

    def _read(self, texts: Sequence[tuple[AnsweredText, int]]) -> None:
        rows = {self._reader.admit(text.prompt): (text, version) for text, version in texts}
        try:
            drawn = self._drawn(rows)
            whole = self._reader.read({row: one.source for row, one in drawn.items()})
            changed = {row: one.left for row, one in drawn.items() if one.left != one.source}
            left = self._reader.read(changed) if changed else {}
        finally:
            for row in rows:
                self._reader.free(row)
        for row, one in drawn.items():
            first = self._keep(whole[row])
            self._known[rows[row]] = one, first, self._keep(left[row]) if row in left else first

    def _drawn(self, rows: dict[int, tuple[AnsweredText, int]]) -> dict[int, _Drawn]:
        """What each text is made of."""
        draws = {row: random.Random(repr((self._seed, *text, version))) for row, (text, version) in rows.items()}
        wrong = {row: draw.random() >= self._mistakes.clean for row, draw in draws.items()}
        plausible = {row: draw.random() < self._mistakes.plausible for row, draw in draws.items()}
        asked = {row: text.target for row, (text, _) in rows.items() if text.target and wrong[row] and plausible[row]}
        laws = self._reader.laws(asked) if asked else {}
        found: dict[int, _Drawn] = {}
        for row, (text, _) in rows.items():
            source, draw = text.target, draws[row]
            if wrong[row]:
                likely: Likely | None = laws[row].topk(LIKELY).indices.tolist() if row in laws else None
                share = draw.uniform(*self._mistakes.noise)
                source = corrupted(text.target, share=share, vocab=self._vocab, draw=draw, likely=likely)
            found[row] = self._judged(source, text, draw)
        return found

    def _judged(self, source: tuple[int, ...], text: AnsweredText, draw: random.Random) -> _Drawn:
        """What the best editor does with a text."""
        wrong = tuple(place is None for place in aligned(source, text.target).places)
        moving = aligned(source, text.target, reach=self._reach)
        moves = pointers(source, text.target, moving, reach=self._reach)
        stays = [not out or draw.random() < self._mistakes.slips for out in wrong]
        left = tuple(token for token, stay in zip(source, stays, strict=True) if stay)
        counts = aligned(left, text.target).counts(len(text.target))
        return _Drawn(source, wrong, moves, left, counts if text.ended else counts[:-1])

    def _keep(self, one: Sighting) -> int:
        whole = torch.cat((one.states, one.facts), dim=-1)
        return self._file.append(whole.to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())

    def _kept(self, begin: int, tokens: int) -> Sighting:
        data = self._file.read(begin, 2 * (tokens + 1) * self._columns)
        whole: Float[Tensor, "lines columns"] = torch.frombuffer(data, dtype=torch.bfloat16).view(-1, self._columns)
        whole = whole.to(self._device).float()
        return Sighting(whole[:, :-FACTS], whole[:, -FACTS:])

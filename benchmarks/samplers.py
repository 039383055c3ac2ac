"""What a sampler of masked generation costs and how far its texts are from the model's law, with a model never wrong.

    python benchmarks/samplers.py [--seed 0] [--draws 60] [--json FILE]

The model is a hidden Markov model over a few tokens, of which the conditionals of every hole are computed exactly; so
the whole error is the sampler's. The cost is model passes a token (NFE), the error the total variation between the law
of the generated texts and the true one: all tokens that may be drawn are gone through in turn. It is exact where a rule
draws nothing itself; where it does, its choices are averaged over random numbers, about `--draws` to a round.
"""

import argparse
import itertools
import json
import math
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ptgflow.engine.canvas.remasking import P2, Gibbs, MaskPredict, Nothing, ReMdm, Uninformed, WinoBack
from ptgflow.engine.canvas.selectors import (
    EntropyBound,
    Everything,
    Factor,
    MaskGit,
    ReMdmFill,
    SlowFast,
    TauLeaping,
    Threshold,
    TopK,
    Wino,
)
from tests.engine.canvas.hidden_markov import HiddenMarkov, exact_law, total_variation

SELECTING, CORRECTING = 6, 4
"""Lengths of the texts: re-maskers lead through far more canvases."""

START = (0.55, 0.30, 0.15)
TRANSITIONS = ((0.93, 0.05, 0.02), (0.04, 0.84, 0.12), (0.30, 0.02, 0.68))
EMISSIONS = ((0.97, 0.02, 0.01), (0.02, 0.95, 0.03), (0.06, 0.34, 0.60))
"""Hidden states that last, and mostly show: neighbours depend on each other, as in text."""


AS_PUBLISHED = {"t_on", "t_off", "alpha_on", "explore", "window", "spread"}
"""Options that are the same in all rows."""


@dataclass(frozen=True)
class Row:
    """A selector alone, or with a re-masker."""

    selector: Any
    remasker: Any = None
    chance: bool = False
    """Whether a rule draws something itself."""
    remembers: bool = False
    """Whether the re-masker reads how likely tokens were in earlier rounds."""


ALONE = [
    *(Row(Threshold(tau=tau)) for tau in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)),
    *(Row(Factor(factor=factor)) for factor in (0.5, 1.0, 1.5, 2.0)),
    *(Row(TopK(k=k, score=score)) for k in (1, 2, 3) for score in ("probability", "margin", "entropy")),
    *(Row(TopK(k=k, score="random"), chance=True) for k in (1, 2, 3)),
    *(Row(EntropyBound(gamma=gamma)) for gamma in (0.15, 0.5, 1.0, 2.0)),
    *(Row(SlowFast(high=high, reach=0.75)) for high in (1.0, 0.8, 0.7, 0.6)),
    *(Row(MaskGit(steps=steps, schedule=schedule)) for schedule in ("linear", "cosine") for steps in (2, 3, 6)),
    Row(MaskGit(steps=3, temperature=4.5), chance=True),
    *(
        Row(TauLeaping(steps=steps, schedule=schedule), chance=True)
        for schedule in ("linear", "cosine")
        for steps in (3, 6, 12)
    ),
    *(Row(Wino(threshold=threshold)) for threshold in (0.9, 0.6)),
    Row(Everything()),
]

CORRECTED = [
    Row(TopK(k=2)),
    Row(TopK(k=2), Nothing()),
    *(
        Row(TopK(k=2), ReMdm(mode=mode, steps=8, eta=eta), chance=True)
        for mode, eta in (("cap", 0.008), ("cap", 0.2), ("rescale", 0.2), ("rescale", 1.0))
    ),
    Row(TopK(k=2), ReMdm(mode="conf", steps=3), chance=True, remembers=True),
    *(Row(TopK(k=2), Uninformed(probability=0.2, rounds=rounds), chance=True) for rounds in (2, 4)),
    *(Row(TopK(k=2), Gibbs(k=1, tau=tau, rounds=rounds), chance=True) for tau in (10.0, 0.2) for rounds in (2, 4, 8)),
    *(Row(TopK(k=2), P2(steps=4, eta=eta)) for eta in (0.0, 1.0)),
    Row(TopK(k=2), MaskPredict(iterations=3), remembers=True),
    Row(TopK(k=2), WinoBack()),
    Row(Everything()),
    *(Row(Everything(), P2(steps=4, eta=eta)) for eta in (0.0, 1.0, 2.0)),
    *(Row(Everything(), MaskPredict(iterations=steps), remembers=True) for steps in (2, 3, 4)),
    Row(TauLeaping(steps=8), chance=True),
    *(
        Row(ReMdmFill(mode=mode, steps=steps, eta=eta), ReMdm(mode=mode, steps=steps, eta=eta), chance=True)
        for mode, steps, eta in (("cap", 8, 0.2), ("rescale", 8, 0.2), ("rescale", 8, 1.0), ("loop", 8, 0.2))
    ),
    Row(ReMdmFill(mode="cap", steps=16, eta=0.2), ReMdm(mode="cap", steps=16, eta=0.2), chance=True),
    Row(Wino(threshold=0.6)),
    *(Row(Wino(threshold=0.6), WinoBack(threshold_back=back)) for back in (0.7, 0.9)),
]


def by_weight(draws: int, seed: int) -> Any:
    """Seeds for a canvas: the likelier it is, the more; never the same again."""
    fresh = itertools.count(seed * 10**9, 2)
    return lambda done, canvas, weight: [next(fresh) for _ in range(max(1, math.ceil(weight * draws)))]


def measured(markov: HiddenMarkov, row: Row, draws: int, seed: int) -> dict[str, Any]:
    streams = by_weight(draws if row.chance else 1, seed)
    law, rounds = exact_law(markov, row.selector, row.remasker, streams=streams, remembers=row.remembers)
    return {
        "selector": described(row.selector),
        "remasker": "" if row.remasker is None else described(row.remasker),
        "length": markov.length,
        "nfe_per_token": rounds / markov.length,
        "error": total_variation(law, markov),
        "kind": "estimated" if row.chance else "exact",
    }


def described(rule: Any) -> str:
    options = [one.name for one in fields(rule) if one.init and one.name not in AS_PUBLISHED]
    told = ", ".join(f"{name} {getattr(rule, name)}" for name in options if getattr(rule, name) is not None)
    return f"{rule.name}: {told}" if told else rule.name


def table(found: list[dict[str, Any]], second: bool) -> None:
    columns = ["selector", *(["re-masker"] if second else []), "NFE a token", "error", "kind"]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for one in found:
        names = [one["selector"], *([one["remasker"] or "-"] if second else [])]
        print("| " + " | ".join([*names, f"{one['nfe_per_token']:.3f}", f"{one['error']:.4f}", one["kind"]]) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of what rules draw themselves")
    parser.add_argument("--draws", type=int, default=60, help="random numbers to average over in a round")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    started, found = time.process_time(), []
    for title, length, rows in (("Selectors", SELECTING, ALONE), ("Re-maskers", CORRECTING, CORRECTED)):
        markov = HiddenMarkov(START, TRANSITIONS, EMISSIONS, length)
        part = [measured(markov, row, asked.draws, asked.seed) for row in rows]
        print(f"\n{title}: texts of {length} tokens out of {markov.vocab}\n")
        table(part, second=rows is CORRECTED)
        found += part
    print(f"\n{time.process_time() - started:.0f} s of one core")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

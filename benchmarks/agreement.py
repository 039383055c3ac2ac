"""Tokens that nobody judges: how many of them the target would have written, and what they save.

    python benchmarks/agreement.py PROMPTS.jsonl [--each 1] [--tokens 64] [--repeat 3] [--heads medusa]
        [--threshold 0.6] [--json FILE]

Recipe `mtp` with k = 1 to 4 tokens a round, and `ar`, on the same prompts one by one, in turns, greedily. PROMPTS.jsonl
is read as by `engine.py`. A token agrees if it is the target's greedy choice after the text before it, the unjudged
tokens of that text included; the token that the target writes itself each round does. An agreement is of all tokens of
all prompts together; tokens a second are of medians, as ratios to `ar` in the same run.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import Run, alike, measure, ours, read_prompts, speed

from ptgflow import load_recipe
from ptgflow.api import Plan
from ptgflow.bench.machine import machine_of
from ptgflow.engine.models.model import LoadedModel
from ptgflow.executors.result import Result, StageRecord

WIDTHS = (1, 2, 3, 4)


@dataclass
class Watched:
    """A recipe, and what it did with each prompt, the last time that it answered it."""

    plan: Plan
    records: dict[str, StageRecord] = field(default_factory=dict)

    def run(self, prompts: Sequence[str]) -> tuple[list[list[int]], list[float]]:
        return ours(self.plan, see=self._see)(prompts)

    def _see(self, result: Result) -> None:
        assert result.metrics is not None, "an answered request has metrics"
        (self.records[result.prompt],) = result.metrics.stages

    def total(self, name: str) -> int:
        return sum(getattr(record, name) for record in self.records.values())

    def figures(self) -> dict[str, float | None]:
        kept = self.total("accepted")
        return {
            "agreement": self.total("own") / self.total("tokens_out"),
            "agreement_of_heads": self.total("agreed") / kept if kept else None,
            # Of rounds that wrote; a long prompt is read in several passes before the first of them.
            "tokens_per_round": self.total("tokens_out") / (self.total("verify_rounds") + len(self.records)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--each", type=int, default=1, help="prompts of each category")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--heads", default="medusa")
    parser.add_argument("--threshold", type=float, default=0.6, help="of a head's token that is written")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    prompts = [prompt for found in read_prompts(asked.prompts, asked.each).values() for prompt in found]
    common = [f"model={asked.model}", f"model.dtype={asked.dtype}", f"max_tokens={asked.tokens}"]
    heads = [f"stage@stages.write=mtp/{asked.heads}", f"stages.write.threshold={asked.threshold}"]
    models: dict[Any, LoadedModel] = {}
    plain = load_recipe("ar", common, models=models)
    watched = {
        f"k={k}": Watched(load_recipe("mtp", [*common, *heads, f"stages.write.k={k}"], models=models)) for k in WIDTHS
    }
    systems: dict[str, Run] = {"ar": ours(plain), **{name: one.run for name, one in watched.items()}}
    for run in systems.values():
        run([prompts[0]])  # First calls are slower.
    sheets = measure(systems, [[prompt] for prompt in prompts], asked.repeat)
    target = plain.executor.target
    machine = machine_of(target)
    print(f"{asked.model}, weights in {target.dtype}, {len(prompts)} prompts, {asked.tokens} tokens, greedy; {machine}")
    print(f"mtp/{asked.heads}, threshold {asked.threshold}; ar {speed(sheets['ar']):.1f} tokens/s\n")
    print(f"  {'':<6}{'agreement':>12}{'of heads':>12}{'tokens a round':>18}{'speed of ar':>14}{'answers of ar':>16}")
    rows: dict[str, dict[str, float | None]] = {}
    for name, one in watched.items():
        rows[name] = found = {**one.figures(), "ratio": speed(sheets[name]) / speed(sheets["ar"])}
        own = "-" if found["agreement_of_heads"] is None else f"{found['agreement_of_heads']:.1%}"
        print(
            f"  {name:<6}{found['agreement']:>12.1%}{own:>12}{found['tokens_per_round']:>18.2f}"
            f"{found['ratio']:>12.2f} x{alike(sheets[name], sheets['ar']):>16}"
        )
    if asked.json is not None:
        told = {"machine": machine, "model": asked.model, "dtype": target.dtype, "tokens": asked.tokens}
        told |= {"heads": asked.heads, "threshold": asked.threshold, "repeat": asked.repeat, "rows": rows}
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

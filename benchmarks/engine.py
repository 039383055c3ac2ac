"""The engine against what a user would otherwise run, in one process and on the same prompts: a table of ratios.

    python benchmarks/engine.py PROMPTS.jsonl [--each 2] [--tokens 96] [--dtype float32] [--repeat 3] [--json FILE]

PROMPTS.jsonl has lines `{"category": ..., "turns": [...]}` as Spec-Bench has them, or `{"id": ..., "prompt": ...}`.
Systems take turns on each prompt, a prompt's time is the median of its repetitions, and a ratio is one of sums over
prompts: it says what happens to a whole pile of work. transformers runs in float32, the format it is fastest in on a
processor; `--dtype` is the format of this engine's weights.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ptgflow import load_recipe
from ptgflow.api import Plan
from ptgflow.bench.machine import machine_of
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result

LOOKUP = 10
"""`prompt_lookup_num_tokens` of transformers, as its documentation has it."""


@dataclass
class Sheet:
    """What was measured of one system on one prompt, or on one batch of prompts."""

    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    ids: list[list[int]] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


Run = Callable[[Sequence[str]], tuple[list[list[int]], list[float]]]
"""From prompts to the tokens of their answers and, where tokens were drafted, the acceptance lengths."""


class Reference:
    """transformers' own generation."""

    def __init__(self, model: LoadedModel, tokens: int) -> None:
        self.model, self.tokens = model, tokens

    def run(self, prompts: Sequence[str], **options: Any) -> tuple[list[list[int]], list[float]]:
        ids = [self.model.codec.prompt((), text=prompt).token_ids for prompt in prompts]
        longest = max(map(len, ids))
        ends = sorted(self.model.codec.eos_ids)
        out = self.model.network.generate(
            torch.tensor([[ends[0]] * (longest - len(row)) + list(row) for row in ids]),
            attention_mask=torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids]),
            do_sample=False,
            max_new_tokens=self.tokens,
            eos_token_id=ends,
            pad_token_id=ends[0],
            **options,
        )
        return [self._answer(row[longest:].tolist()) for row in out], []

    def _answer(self, ids: list[int]) -> list[int]:
        end = next((at for at, token in enumerate(ids) if token in self.model.codec.eos_ids), len(ids))
        return ids[:end]


def ours(plan: Plan, see: Callable[[Result], None] | None = None) -> Run:
    """A plan's answers; `see` is shown each result."""

    def run(prompts: Sequence[str]) -> tuple[list[list[int]], list[float]]:
        found: dict[str | int, Result] = {}
        for happened in plan.run_many([Ask(id=at, prompt=prompt) for at, prompt in enumerate(prompts)]):
            if isinstance(happened, Result):
                assert happened.ok, happened.error
                found[happened.id] = happened
        results = [found[at] for at in range(len(prompts))]
        if see is not None:
            for one in results:
                see(one)
        accepted = [one.metrics.acceptance_length for one in results if one.metrics is not None]
        return [list(one.token_ids) for one in results], [length for length in accepted if length is not None]

    return run


def measure(systems: dict[str, Run], prompts: Sequence[Sequence[str]], repeat: int) -> dict[str, list[Sheet]]:
    """Each system on each batch of prompts, one after the other, `repeat` times."""
    sheets = {name: [Sheet() for _ in prompts] for name in systems}
    for number in range(repeat):
        for at, batch in enumerate(prompts):
            for name, run in systems.items():
                started = time.perf_counter()
                ids, accepted = run(batch)
                sheet = sheets[name][at]
                sheet.seconds.append(time.perf_counter() - started)
                sheet.tokens, sheet.ids, sheet.acceptance = sum(map(len, ids)), ids, accepted
            print(f"\r{number + 1}/{repeat}: {at + 1}/{len(prompts)} ", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    return sheets


def speed(sheets: Sequence[Sheet]) -> float:
    """Tokens a second over all prompts."""
    return sum(sheet.tokens for sheet in sheets) / sum(sheet.median for sheet in sheets)


def read_prompts(path: Path, each: int) -> dict[str, list[str]]:
    """The first `each` prompts of every category."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        category = str(entry.get("category", "prompts"))
        if len(found[category]) < each:
            found[category].append(entry["turns"][0] if "turns" in entry else entry["prompt"])
    return dict(found)


def table(title: str, names: Sequence[str], rows: dict[str, dict[str, float]], against: str) -> list[str]:
    lines = [
        f"{title} (tokens/s of {against}, then ratios to it)",
        f"  {'':<16}" + "".join(f"{one:>16}" for one in names),
    ]
    for label, speeds in rows.items():
        cells = [f"{speeds[one] / speeds[against]:.2f} x" if one != against else f"{speeds[one]:.1f}" for one in names]
        lines.append(f"  {label:<16}" + "".join(f"{cell:>16}" for cell in cells))
    return lines


def alike(one: Sequence[Sheet], other: Sequence[Sheet]) -> str:
    """How many answers of two systems are the same, token by token."""
    pairs = [(a, b) for left, right in zip(one, other, strict=True) for a, b in zip(left.ids, right.ids, strict=True)]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--each", type=int, default=2, help="prompts of each category")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rows", type=int, default=8, help="requests at once")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    categories = read_prompts(asked.prompts, asked.each)
    options = [f"model={asked.model}", f"model.dtype={asked.dtype}", f"max_tokens={asked.tokens}"]
    options.append(f"executor.batch_size={asked.rows}")
    models: dict[Any, LoadedModel] = {}
    plans = {name: load_recipe(name, options, models=models) for name in ("ar", "draft_verify")}
    target = plans["ar"].executor.target
    card = target.card.model_copy(update={"dtype": "float32"})
    reference = Reference(load_model(card, Accelerate(forward="transformers")), asked.tokens)
    systems: dict[str, Run] = {
        "transformers": reference.run,
        "its lookup": lambda prompts: reference.run(prompts, prompt_lookup_num_tokens=LOOKUP),
        "ar": ours(plans["ar"]),
        "draft_verify": ours(plans["draft_verify"]),
    }
    flat = [(name, prompt) for name, prompts in categories.items() for prompt in prompts]
    for run in systems.values():
        run([flat[0][1]])  # First calls are slower; the engine measures what passes cost.
    single = measure(systems, [[prompt] for _, prompt in flat], asked.repeat)
    batches = [
        [prompt for _, prompt in flat][at :: -(-len(flat) // asked.rows)] for at in range(-(-len(flat) // asked.rows))
    ]
    together = measure({name: run for name, run in systems.items() if name != "its lookup"}, batches, asked.repeat)
    rows = {
        name: {
            system: speed([sheet for sheet, (own, _) in zip(sheets, flat, strict=True) if own == name])
            for system, sheets in single.items()
        }
        for name in categories
    }
    rows["all"] = {system: speed(sheets) for system, sheets in single.items()}
    batch_row = {f"{asked.rows} at once": {"transformers": rows["all"]["transformers"]}}
    batch_row[f"{asked.rows} at once"] |= {f"{name} ": speed(sheets) for name, sheets in together.items()}
    accepted = [length for sheet in single["draft_verify"] for length in sheet.acceptance]
    machine = machine_of(target)
    print(f"{asked.model}, weights in {target.dtype}, {len(flat)} prompts, {asked.tokens} tokens, greedy; {machine}\n")
    print("\n".join(table("one request at a time", list(systems), rows, "transformers")))
    print("\n".join(table("\nseveral requests", list(next(iter(batch_row.values()))), batch_row, "transformers")))
    same = {
        "ar = transformers": alike(single["ar"], single["transformers"]),
        "draft_verify = ar": alike(single["draft_verify"], single["ar"]),
        "ar together = alone": _alike_in_batches(together["ar"], single["ar"], batches, flat),
        "draft_verify together = alone": _alike_in_batches(
            together["draft_verify"], single["draft_verify"], batches, flat
        ),
    }
    print(f"\nacceptance length of draft_verify {statistics.mean(accepted):.2f}")
    print("the same tokens: " + "; ".join(f"{name} {count}" for name, count in same.items()))
    lookup = rows["all"]["draft_verify"] / rows["all"]["its lookup"]
    ar = {name: speeds["draft_verify"] / speeds["ar"] for name, speeds in rows.items()}
    print(f"draft_verify is {lookup:.2f} x transformers' lookup, and of ar: ", end="")
    print(", ".join(f"{name} {ratio:.2f}" for name, ratio in ar.items()))
    if asked.json is not None:
        found = {"machine": machine, "model": asked.model, "dtype": target.dtype, "tokens": asked.tokens, "same": same}
        found |= {"one": rows, "together": batch_row, "acceptance_length": statistics.mean(accepted)}
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _alike_in_batches(
    together: Sequence[Sheet],
    single: Sequence[Sheet],
    batches: Sequence[Sequence[str]],
    flat: Sequence[tuple[str, str]],
) -> str:
    alone = {prompt: sheet.ids[0] for (_, prompt), sheet in zip(flat, single, strict=True)}
    pairs = [
        (ids, alone[prompt])
        for sheet, batch in zip(together, batches, strict=True)
        for ids, prompt in zip(sheet.ids, batch, strict=True)
    ]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)}"


if __name__ == "__main__":
    main()

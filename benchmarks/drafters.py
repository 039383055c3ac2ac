"""Drafters against plain decoding: tokens a round, and tokens a second as ratios within one run.

    python benchmarks/drafters.py PROMPTS.jsonl [--each 4] [--tokens 96] [--repeat 1] [--json FILE]
        [--system NAME="recipe=mtp_dv stages.check.tree=chain"]...

PROMPTS.jsonl is read as by `engine.py`. Each system is a recipe with overrides; `ar` is always there and is what the
others are compared with. All answer the same prompts one by one, in turns, greedily.
"""

import argparse
import json
import shlex
import statistics
from pathlib import Path
from typing import Any

from engine import Sheet, alike, measure, ours, read_prompts, speed

from ptgflow import load_recipe
from ptgflow.bench.machine import machine_of
from ptgflow.engine.models.model import LoadedModel

SYSTEMS = {
    "ngram": "recipe=draft_verify",
    "suffix": "recipe=draft_verify stage@stages.write=draft_verify/suffix",
    "medusa": "recipe=mtp_dv stage@stages.write=mtp/medusa",
    "eagle": "recipe=mtp_dv",
    "eagle+ngram": "recipe=mtp_dv stage@stages.check=draft_verify/ensemble",
}
"""What is compared when no system is named."""


def tokens_a_round(sheets: list[Sheet]) -> float:
    """The mean over prompts of the mean acceptance length."""
    return statistics.mean(length for sheet in sheets for length in sheet.acceptance or [1.0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--each", type=int, default=4, help="prompts of each category")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--system", action="append", default=[], metavar='NAME="OVERRIDES"')
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    categories = read_prompts(asked.prompts, asked.each)
    named = dict(one.split("=", 1) for one in asked.system) or SYSTEMS
    common = [f"model={asked.model}", f"model.dtype={asked.dtype}", f"max_tokens={asked.tokens}"]
    models: dict[Any, LoadedModel] = {}
    plans = {}
    for name, words in {"ar": "recipe=ar", **named}.items():
        recipe, *overrides = shlex.split(words)
        plans[name] = load_recipe(recipe.removeprefix("recipe="), [*common, *overrides], models=models)
    flat = [(name, prompt) for name, prompts in categories.items() for prompt in prompts]
    systems = {name: ours(plan) for name, plan in plans.items()}
    for run in systems.values():
        run([flat[0][1]])  # First calls are slower; the engine measures what passes cost.
    sheets = measure(systems, [[prompt] for _, prompt in flat], asked.repeat)
    target = plans["ar"].executor.target
    machine = machine_of(target)
    print(f"{asked.model}, weights in {target.dtype}, {len(flat)} prompts, {asked.tokens} tokens, greedy; {machine}\n")
    groups = {name: [at for at, (own, _) in enumerate(flat) if own == name] for name in categories}
    groups["all"] = list(range(len(flat)))
    print("tokens a second as ratios to ar, and tokens a round")
    print(f"  {'':<16}{'ar':>8}" + "".join(f"{name:>18}" for name in named))
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for group, places in groups.items():
        plain = speed([sheets["ar"][at] for at in places])
        rows[group] = {"ar": {"tokens_per_s": plain}}
        cells = []
        for name in named:
            own = [sheets[name][at] for at in places]
            found = {"ratio": speed(own) / plain, "tokens_per_round": tokens_a_round(own)}
            rows[group][name] = found
            cells.append(f"{found['ratio']:>10.2f} x {found['tokens_per_round']:5.2f}")
        print(f"  {group:<16}{plain:>8.1f}" + "".join(f"{cell:>18}" for cell in cells))
    same = {name: alike(sheets[name], sheets["ar"]) for name in named}
    print("\nthe same tokens as ar: " + "; ".join(f"{name} {count}" for name, count in same.items()))
    if asked.json is not None:
        found = {"machine": machine, "model": asked.model, "dtype": target.dtype, "tokens": asked.tokens}
        asked.json.write_text(json.dumps({**found, "same": same, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

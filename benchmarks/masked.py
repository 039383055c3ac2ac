"""Masked generation: what a text loses for every model evaluation that is saved.

    python benchmarks/masked.py PROMPTS.jsonl [--each 1] [--tokens 64] [--json FILE]
        [--system NAME="recipe=masked stages.fill.threshold=0.8"]...

PROMPTS.jsonl is read as by `engine.py`. Each system is a recipe with overrides and answers all prompts together,
greedily. For each: NFE (model evaluations) a token, those of a guide among them; perplexity of its texts under the
autoregressive model, after the prompt; distinct-1 and distinct-2 (different words and pairs of words, of all, arXiv
1510.03055); the share of 4-grams of words that stood in the same text before; and ROUGE-L (F1 on words) against what
`ar` answers.
"""

import argparse
import json
import math
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import read_prompts

from ptgflow import load_recipe
from ptgflow.bench.machine import machine_of
from ptgflow.bench.measures.perplexity import Scorer
from ptgflow.engine.models.model import LoadedModel
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result

FILL = "recipe=masked stage@stages.fill=masked/"
SYSTEMS = {
    **{f"threshold {tau}": f"recipe=masked stages.fill.threshold={tau}" for tau in (0.95, 0.9, 0.8, 0.7, 0.6)},
    "threshold 0.9, surest": "recipe=masked stages.fill.threshold=0.9 stages.fill.progress=surest",
    "factor 1": f"{FILL}factor",
    "topk 1": f"{FILL}topk stages.fill.k=1",
    "topk 2": f"{FILL}topk stages.fill.k=2",
    "topk 2, margin": f"{FILL}topk stages.fill.k=2 stages.fill.score=margin",
    "topk 2, entropy": f"{FILL}topk stages.fill.k=2 stages.fill.score=entropy",
    "entropy_bound 0.15": f"{FILL}entropy_bound",
    "slow_fast": f"{FILL}slow_fast",
    "tau_leaping 8": f"{FILL}tau_leaping",
    "maskgit 8": f"{FILL}maskgit",
    "wino, remask wino": f"{FILL}wino stages.fill.remask=wino",
    "mask_predict 10": f"{FILL}mask_predict",
    "threshold 0.9, cfg 1": "recipe=masked stages.fill.guidance=cfg",
    "topk 16, agreement": f"{FILL}topk stages.fill.k=16 stages.fill.guidance=agreement",
    **{
        f"topk 16, apd {ratio}": f"{FILL}topk stages.fill.k=16 stages.fill.guidance=apd "
        f"stages.fill.guidance_ratio={ratio}"
        for ratio in (0.3, 0.5, 0.7)
    },
    "threshold 0.6, agreement": "recipe=masked stages.fill.threshold=0.6 stages.fill.guidance=agreement",
}
"""What is compared when no system is named."""


def words_of(text: str) -> list[str]:
    return text.lower().split()


def grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]


def distinct(texts: Sequence[Sequence[str]], size: int) -> float:
    found = [one for words in texts for one in grams(words, size)]
    return len(set(found)) / max(len(found), 1)


def repetition(texts: Sequence[Sequence[str]]) -> float:
    found = [grams(words, 4) for words in texts]
    return 1 - sum(len(set(one)) for one in found) / max(sum(map(len, found)), 1)


def rouge_l(words: Sequence[str], other: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words (Lin, 2004)."""
    row = [0] * (len(other) + 1)
    for word in words:
        last = 0
        for at, one in enumerate(other, 1):
            last, row[at] = row[at], last + 1 if word == one else max(row[at], row[at - 1])
    return 2 * row[-1] / max(len(words) + len(other), 1)


def guided(result: Result) -> int:
    """Passes of a guide, which stand beside the rounds of the masked model."""
    return sum(one.verify_rounds for one in result.metrics.stages if one.method.startswith("masked/"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--each", type=int, default=1, help="prompts of each category")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--common", default="", help="overrides for all systems but ar")
    parser.add_argument("--system", action="append", default=[], metavar='NAME="OVERRIDES"')
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    prompts = [one for own in read_prompts(asked.prompts, asked.each).values() for one in own]
    named = dict(one.split("=", 1) for one in asked.system) or SYSTEMS
    models: dict[Any, LoadedModel] = {}
    rows: dict[str, dict[str, float]] = {}
    plain: list[list[str]] = []
    header = (
        f"{'':<24}{'NFE/token':>10}{'perplexity':>12}{'distinct-1':>12}{'distinct-2':>12}{'repeated':>10}{'ROUGE-L':>9}"
    )
    for name, words in {"ar": "recipe=ar", **named}.items():
        recipe, *overrides = shlex.split(words if name == "ar" else f"{words} {asked.common}")
        common = [f"model={asked.model}", f"model.dtype={asked.dtype}", f"max_tokens={asked.tokens}"]
        plan = load_recipe(recipe.removeprefix("recipe="), [*common, *overrides], models=models)
        asks = [Ask(id=number, prompt=one) for number, one in enumerate(prompts)]
        results = {one.id: one for one in plan.run_many(asks) if isinstance(one, Result)}
        answers = [results[number] for number in range(len(prompts))]
        target = plan.executor.target
        if name == "ar":
            machine = machine_of(target)
            print(
                f"{asked.model}, weights in {target.dtype}, {len(prompts)} prompts, {asked.tokens} tokens; {machine}\n"
            )
            print(header)
        texts = [words_of(one.text) for one in answers]
        plain = plain or texts
        tokens = sum(len(one.token_ids) for one in answers)
        encoded = [target.codec.prompt((), text=prompt).token_ids for prompt in prompts]
        score = Scorer(target)
        losses = sum(score(ids, one.token_ids).nats for ids, one in zip(encoded, answers, strict=True))
        rows[name] = {
            "nfe_per_token": sum(one.metrics.rounds + guided(one) for one in answers) / tokens,
            "perplexity": math.exp(losses / tokens),
            "distinct_1": distinct(texts, 1),
            "distinct_2": distinct(texts, 2),
            "repeated_4grams": repetition(texts),
            "rouge_l": statistics.mean(rouge_l(one, other) for one, other in zip(texts, plain, strict=True)),
        }
        nfe, perplexity, one, two, repeated, rouge = rows[name].values()
        print(
            f"{name:<24}{nfe:>10.2f}{perplexity:>12.2f}{one:>12.2f}{two:>12.2f}{repeated:>10.2f}{rouge:>9.2f}",
            flush=True,
        )
    if asked.json is not None:
        found = {"machine": machine, "model": asked.model, "dtype": target.dtype, "tokens": asked.tokens}
        asked.json.write_text(json.dumps({**found, "prompts": len(prompts), "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

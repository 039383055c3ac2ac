"""Short structured answers: what a decoder writes into the parts of `decompose/schema`, against what `ar` writes there.

    python benchmarks/keywords.py PARALLELPROMPT.json [--prompts 30] [--each 16] [--repeat 3] [--json FILE]
        [--system NAME="recipe=decomp_oneshot stages.draft.places=16"]...

PARALLELPROMPT.json is a list of objects with `serial`, a prompt that lists what it wants out of a text
(ParallelPrompt, arXiv 2506.18728). Each system is a recipe whose slot `split` is filled by `decompose/schema`; it
answers one prompt at a time, `--each` tokens a part, greedily. For each: exact match and F1 on words (SQuAD's, arXiv
1606.05250: lower case, without punctuation and articles) of each part against the same part of `ar`; both again of the
parts that `ar` ended itself, and not the limit of tokens; model passes one after another; and the time of `ar` over its
own, sums over prompts of medians over repetitions that take turns.
"""

import argparse
import json
import re
import shlex
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ptgflow import load_recipe
from ptgflow.api import Plan
from ptgflow.bench.machine import machine_of
from ptgflow.engine.models.model import LoadedModel
from ptgflow.executors.result import Result
from ptgflow.stages.decompose.extract import extract

AR = "recipe=decomp_dv stage@stages.write=draft_verify/ar"
SYSTEMS = {
    "ngram": "recipe=decomp_dv",
    "masked 0.9": "recipe=decomp_masked",
    "oneshot, fixed": "recipe=decomp_oneshot",
    "oneshot, predicted": "recipe=decomp_oneshot stages.draft.length=predicted",
    "oneshot, beam": "recipe=decomp_oneshot stages.draft.length=beam",
}
"""What is compared when no system is named."""


def words_of(text: str) -> list[str]:
    """As SQuAD's script compares answers."""
    plain = re.sub(r"[^\w\s]", "", text.lower())
    return [word for word in plain.split() if word not in ("a", "an", "the")]


def f1(one: list[str], other: list[str]) -> float:
    """Of words as a bag; two empty answers agree."""
    if not one or not other:
        return float(one == other)
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared / (len(one) + len(other))


class Systems:
    """Their recipes, loaded once for each budget of tokens."""

    def __init__(self, named: dict[str, str], model: str, dtype: str) -> None:
        self.named = named
        self._common = [f"model={model}", f"model.dtype={dtype}", "stage@stages.split=decompose/schema"]
        self._models: dict[Any, LoadedModel] = {}
        self._plans: dict[tuple[str, int], Plan] = {}

    def run(self, name: str, prompt: str, tokens: int) -> tuple[float, Result]:
        """Seconds, and the answer."""
        if (name, tokens) not in self._plans:
            recipe, *overrides = shlex.split(self.named[name])
            given = [self._common[-1], *overrides, *self._common[:-1], f"max_tokens={tokens}"]
            self._plans[name, tokens] = load_recipe(recipe.removeprefix("recipe="), given, models=self._models)
        begin = time.perf_counter()
        result = self._plans[name, tokens].run(prompt)
        return time.perf_counter() - begin, result

    @property
    def target(self) -> LoadedModel:
        return next(iter(self._plans.values())).executor.target


def compared(results: dict[int, Result], plain: dict[int, Result], *, short: bool) -> tuple[float, float, int]:
    """Exact match and F1, means over parts, and how many these are: all, or those that `ar` ended itself."""
    exact: list[float] = []
    scores: list[float] = []
    for number, result in results.items():
        for one, other in zip(result.segments, plain[number].segments, strict=True):
            if not short or other.finish_reason == "stop":
                mine, theirs = words_of(one.text), words_of(other.text)
                exact.append(float(mine == theirs))
                scores.append(f1(mine, theirs))
    return statistics.mean(exact or [0.0]), statistics.mean(scores or [0.0]), len(exact)


def prompts_of(path: Path, count: int) -> list[tuple[str, int]]:
    """Prompts and how many parts each has, evenly over the file, which is sorted by subject."""
    serial = [one["serial"] for one in json.loads(path.read_text(encoding="utf-8"))]
    found = [(one, len(schema.data)) for one in serial if (schema := extract(one)) is not None and schema.data]
    return found[:: max(len(found) // count, 1)][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--each", type=int, default=16, help="tokens of a part, and of its heading")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--system", action="append", default=[], metavar='NAME="OVERRIDES"')
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    named = {"ar": AR, **(dict(one.split("=", 1) for one in given.system) or SYSTEMS)}
    systems = Systems(named, given.model, given.dtype)
    found: dict[str, dict[int, Result]] = {name: {} for name in named}
    seconds: dict[str, list[float]] = {name: [] for name in named}
    prompts = prompts_of(given.data, given.prompts)
    for number, (prompt, parts) in enumerate(prompts):
        took: dict[str, list[float]] = {name: [] for name in named}
        for _ in range(given.repeat):
            for name in named:
                spent, found[name][number] = systems.run(name, prompt, parts * given.each)
                took[name].append(spent)
        for name in named:
            seconds[name].append(statistics.median(took[name]))
        print(f"{number + 1} of {len(prompts)}", end="\r", flush=True)
    machine = machine_of(systems.target)
    total = sum(parts for _, parts in prompts)
    print(
        f"{given.model}, weights in {systems.target.dtype}, {len(prompts)} prompts, {total} parts, {given.each} tokens "
        f"each; {machine}\n\n{'':<24}{'exact':>8}{'F1':>8}{'ended':>8}{'F1':>8}{'passes':>8}{'x ar':>8}"
    )
    rows: dict[str, dict[str, float]] = {}
    for name, results in found.items():
        exact, score, _ = compared(results, found["ar"], short=False)
        exact_short, score_short, ended = compared(results, found["ar"], short=True)
        passes = statistics.mean(one.metrics.critical_rounds for one in results.values() if one.metrics is not None)
        ratio = sum(seconds["ar"]) / sum(seconds[name])
        rows[name] = {"exact": exact, "f1": score, "passes": passes, "ratio": ratio}
        rows[name] |= {"exact_ended": exact_short, "f1_ended": score_short, "ended": ended}
        shown = "".join(f"{one:>8.2f}" for one in (exact, score, exact_short, score_short))
        print(f"{name:<24}{shown}{passes:>8.1f}{ratio:>8.2f}", flush=True)
    if given.json is not None:
        facts = {"machine": machine, "model": given.model, "dtype": systems.target.dtype, "tokens": given.each}
        text = json.dumps({**facts, "prompts": len(prompts), "parts": total, "rows": rows}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

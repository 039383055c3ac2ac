"""Editors on good texts, on spoilt ones, and on texts written several tokens a step: what they make of each.

    python benchmarks/refining.py PROMPTS.jsonl [--each 1] [--tokens 64] [--rounds 3] [--json FILE]
        [--system NAME="locate_revise by=masked gain=1"]...

PROMPTS.jsonl is read as by `engine.py`. The texts are: what `ar` answers; the same with 5 % of its tokens replaced by
others drawn evenly from the vocabulary; and what `mtp` with medusa heads answers, with k tokens a step at each
threshold. For every text and editor: perplexity under the target, behind the prompt, before and after 1, 2, ... rounds;
the share of tokens that are kept; and milliseconds a text for all rounds.
"""

import argparse
import difflib
import json
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import read_prompts

from ptgflow import load_recipe
from ptgflow.bench.machine import machine_of
from ptgflow.bench.measures.perplexity import Scorer
from ptgflow.contracts.settings import Generation
from ptgflow.engine.edit.loop import EditLoop
from ptgflow.engine.edit.request import EditRequest
from ptgflow.engine.edit.rules import Editor
from ptgflow.engine.models.model import LoadedModel
from ptgflow.executors.local import load_symbol
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.editing import Editing
from ptgflow.stages.edit.spec import METHODS

Ids = tuple[int, ...]
SYSTEMS = {
    "by target": "locate_revise",
    "by masked": "locate_revise by=masked",
    "levenshtein": "levenshtein",
    "reposition": "reposition",
    "tagger": "tagger",
}
"""What is compared when no system is named."""
WRITERS = {
    f"mtp k={k} at {least}": f"recipe=mtp stages.write.k={k} stages.write.threshold={least}"
    for least in (0.6, 0.3)
    for k in (2, 3, 4)
}
REPLACED = 0.05


def written(words: str, prompts: Sequence[str], common: Sequence[str], models: dict[Any, LoadedModel]) -> list[Ids]:
    recipe, *overrides = words.split()
    plan = load_recipe(recipe.removeprefix("recipe="), [*common, *overrides], models=models)
    told = plan.run_many(Ask(id=at, prompt=one) for at, one in enumerate(prompts))
    found = {one.id: tuple(one.token_ids) for one in told if isinstance(one, Result)}
    return [found[at] for at in range(len(prompts))]


def spoilt(model: LoadedModel, ids: Ids, drawn: random.Random) -> Ids:
    """With some tokens replaced, as the text that this is."""
    found = list(ids)
    for at in drawn.sample(range(len(found)), max(round(REPLACED * len(found)), 1)):
        found[at] = drawn.choice([one for one in drawn.sample(range(model.vocab_size), 8) if model.codec.decode([one])])
    return model.codec.encode(model.codec.decode(found))


def perplexity(model: LoadedModel, prompts: Sequence[Ids], texts: Sequence[Ids]) -> float:
    score = Scorer(model)
    losses = sum(score(prompt, ids).nats for prompt, ids in zip(prompts, texts, strict=True))
    return math.exp(losses / sum(map(len, texts)))


def kept(before: Sequence[Ids], after: Sequence[Ids]) -> float:
    same = sum(
        sum(block.size for block in difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks())
        for one, other in zip(before, after, strict=True)
    )
    return same / sum(map(len, before))


def refined(
    editor: Editor, model: LoadedModel, prompts: Sequence[Ids], texts: Sequence[Ids], rounds: int
) -> tuple[list[Ids], float]:
    """The texts after so many rounds, and seconds for all of them together."""
    loop = EditLoop(model, editor, max_rows=16)
    begin = time.perf_counter()
    rows = [
        loop.admit(
            EditRequest(
                text=model.codec.decode(ids),
                token_ids=ids,
                scores=(0.0,) * len(ids),
                editor=editor,
                rounds=rounds,
                prompt_ids=prompt,
            )
        )
        for prompt, ids in zip(prompts, texts, strict=True)
    ]
    found: dict[Any, Ids] = {}
    while not loop.idle:
        found |= {row: tuple(one.token_ids) for row, one in loop.round().finished.items()}
    return [found[row] for row in rows], time.perf_counter() - begin


def editor_of(words: str, model: LoadedModel) -> Editor:
    name, *options = words.split()
    (spec,) = (one for one in METHODS if one.name == name)
    method = load_symbol(spec)(spec.options.model_validate(dict(one.split("=", 1) for one in options)))
    assert isinstance(method, Editing), f"{name} is no editor of the loop over texts"
    return method.editor(StageContext(slot="repair", model=model, generation=Generation(), budget=1, seed=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--each", type=int, default=1, help="prompts of each category")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--system", action="append", default=[], metavar='NAME="OPTIONS"')
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    named = dict(one.split("=", 1) for one in asked.system) or SYSTEMS
    prompts = [one for own in read_prompts(asked.prompts, asked.each).values() for one in own]
    common = [f"model={asked.model}", f"model.dtype={asked.dtype}", f"max_tokens={asked.tokens}"]
    models: dict[Any, LoadedModel] = {}
    greedy = written("recipe=ar", prompts, common, models)
    (model,) = models.values()
    drawn = random.Random(0)
    texts = {"greedy": greedy, "5 % replaced": [spoilt(model, one, drawn) for one in greedy]}
    texts |= {name: written(words, prompts, common, models) for name, words in WRITERS.items()}
    asking = [tuple(model.codec.prompt((), text=one).token_ids) for one in prompts]
    machine = machine_of(model)
    print(f"{asked.model}, weights in {model.dtype}, {len(prompts)} prompts, {asked.tokens} tokens; {machine}\n")
    rounds = range(1, asked.rounds + 1)
    print(f"{'':<16}{'':<12}{'before':>9}{''.join(f'{one:>8}' for one in rounds)}{'kept':>8}{'ms':>8}")
    rows: list[dict[str, Any]] = []
    for name, several in texts.items():
        before = perplexity(model, asking, several)
        for system, words in named.items():
            editor = editor_of(words, model)
            after = [refined(editor, model, asking, several, count) for count in rounds]
            found = [perplexity(model, asking, ids) for ids, _ in after]
            share, spent = kept(several, after[-1][0]), 1000 * after[-1][1] / len(several)
            numbers = "".join(f"{one:>8.2f}" for one in found)
            print(f"{name:<16}{system:<12}{before:>9.2f}{numbers}{share:>8.3f}{spent:>8.0f}", flush=True)
            rows.append({"text": name, "editor": system, "before": before, "after": found, "kept": share, "ms": spent})
    if asked.json is not None:
        head = {"machine": machine, "model": asked.model, "dtype": f"{model.dtype}", "tokens": asked.tokens}
        found_all = {**head, "prompts": len(prompts), "rows": rows}
        asked.json.write_text(json.dumps(found_all, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

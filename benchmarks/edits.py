"""Editors alone: how much better learner sentences become, against corrections that people wrote.

    python benchmarks/edits.py FOLDER [--split dev] [--sentences 754] [--json FILE]
        [--system NAME="stage@stages.repair=edit/tagger stages.repair.least_token=0.7"]...

FOLDER has `SPLIT.src` and `SPLIT.ref0` to `SPLIT.ref3`, a sentence a line, as JFLEG (arXiv 1702.04066) brings them. For
each editor: GLEU (Napoles et al., arXiv 1605.02592: n-grams to 4, one reference a sentence drawn 500 times) and F0.5 of
word edits against the reference that agrees with most of them, both in percent; the share of sentences that were
changed; and milliseconds a sentence. Sentences and references are cut into words and marks alike before they are
compared.
"""

import argparse
import json
import time
from pathlib import Path

from ptgflow import load_recipe
from ptgflow.bench.machine import machine_of
from ptgflow.bench.measures.edits import cut, f_half, gleu
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result

SYSTEMS = {
    "tagger 0.9": "stage@stages.repair=edit/tagger",
    "tagger 0.7": "stage@stages.repair=edit/tagger stages.repair.least_token=0.7",
    "tagger 0.5": "stage@stages.repair=edit/tagger stages.repair.least_token=0.5",
    "tagger 0": "stage@stages.repair=edit/tagger stages.repair.least_token=0",
}
"""What is compared when no system is named."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--sentences", type=int)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--system", action="append", default=[], metavar='NAME="OVERRIDES"')
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    def lines(name: str) -> list[str]:
        text = (given.folder / f"{given.split}.{name}").read_text(encoding="utf-8")
        return [line.strip() for line in text.splitlines()][: given.sentences]

    raw = lines("src")
    sources = [cut(line) for line in raw]
    references = list(zip(*([cut(line) for line in lines(f"ref{number}")] for number in range(4)), strict=True))
    named = dict(one.split("=", 1) for one in given.system) or SYSTEMS
    rows = {"source": {"gleu": gleu(sources, sources, references), "f_half": 0.0, "changed": 0.0, "ms": 0.0}}
    machine = ""
    print(f"{'':<28}{'GLEU':>8}{'F0.5':>8}{'changed':>9}{'ms':>8}")
    print(f"{'source':<28}{rows['source']['gleu']:>8.1f}{0:>8.1f}{0:>9.2f}{0:>8.1f}")
    for name, words in named.items():
        plan = load_recipe("edit", [*words.split(), f"model={given.model}"])
        plan.run(text=raw[0])
        begin = time.perf_counter()
        asks = [Ask(id=number, text=line) for number, line in enumerate(raw)]
        results = {one.id: one for one in plan.run_many(asks) if isinstance(one, Result)}
        seconds = time.perf_counter() - begin
        written = [cut(results[number].text) for number in range(len(raw))]
        machine = machine_of(plan.executor.target)
        rows[name] = {
            "gleu": gleu(sources, written, references),
            "f_half": f_half(sources, written, references),
            "changed": sum(one != other for one, other in zip(sources, written, strict=True)) / len(raw),
            "ms": 1000 * seconds / len(raw),
        }
        score, half, changed, spent = rows[name].values()
        print(f"{name:<28}{score:>8.1f}{half:>8.1f}{changed:>9.2f}{spent:>8.1f}", flush=True)
    if given.json is not None:
        found = {"machine": machine, "sentences": len(raw), "rows": rows}
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

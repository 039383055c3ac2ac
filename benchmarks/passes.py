"""What the engine itself costs: passes by width, work outside of passes, memory, and whether it slows down with time.

    python benchmarks/passes.py [MODEL] [--dtype float32] [--requests 500]

Memory is what the process holds beyond its imports (anonymous pages, as those of a mapped file can be dropped at any
time; the embedding is mapped), sampled after every pass.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ptgflow.bench.machine import machine_of
from ptgflow.engine.costs.calibrate import PassTimer
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.slots import RowInput, SlotCache
from ptgflow.engine.trees import TokenTree
from ptgflow.recipe.cards import shipped_cards

ROWS = 8
WIDTH = 8


class Stopwatch:
    """A pass that adds up the time it takes."""

    def __init__(self, run: ModelPass) -> None:
        self.run, self.seconds = run, 0.0

    @property
    def cache(self) -> SlotCache:
        return self.run.cache

    def __call__(self, inputs: Sequence[RowInput]) -> torch.Tensor:
        started = time.perf_counter()
        logits = self.run(inputs)
        self.seconds += time.perf_counter() - started
        return logits


class Same:
    """Proposes the same tokens again and again: some are right, most are wrong."""

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        return Proposal(tree=TokenTree.chain(tuple(context[-min(WIDTH - 1, limit) :])))


def request(model: LoadedModel, number: int, tokens: int, drafter: Same | None = None) -> DecodeRequest:
    prompt = model.codec.encode(f"Request {number}. Tell me something about the number {number * 37 % 1000} and why. ")
    return DecodeRequest(prompt_ids=prompt, max_new_tokens=tokens, drafter=drafter, length="fixed")


def widths(model: LoadedModel) -> None:
    timer, context = PassTimer(model), min(256, model.context_length // 2)
    shapes = [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (ROWS, 1), (ROWS, WIDTH)]
    times: dict[tuple[int, int], list[float]] = {shape: [] for shape in shapes}
    for repeat in range(12):
        for rows, width in shapes:
            seconds = timer(rows, width, context)
            if repeat >= 2:
                times[rows, width].append(seconds)
    one = statistics.median(times[1, 1])
    print(f"passes at context {context}, of one over one token ({1000 * one:.1f} ms):")
    print(
        "  "
        + ", ".join(f"{rows} x {width}: {statistics.median(found) / one:.2f}" for (rows, width), found in times.items())
    )


def outside(model: LoadedModel) -> None:
    loop = DecodeLoop(model, max_rows=ROWS)
    loop._pass = watch = Stopwatch(loop._pass)
    for number in range(ROWS):
        loop.admit(request(model, number, 64, Same()))
    shares = []
    while not loop.idle:
        before, started = watch.seconds, time.perf_counter()
        rows = len(loop.round().rows)
        whole, inside = time.perf_counter() - started, watch.seconds - before
        if rows == ROWS:
            shares.append((whole - inside) / inside)
    print(
        f"outside of passes, {ROWS} rows of {WIDTH} tokens: {statistics.median(shares):.1%} of a pass, "
        f"median of {len(shares)}"
    )


def growth(model: LoadedModel, count: int) -> None:
    loop = DecodeLoop(model, max_rows=ROWS)
    ends, tokens, done, next_one = [time.perf_counter()], [0], 0, 0
    while done < count:
        while next_one < count and next_one < done + 2 * ROWS:
            loop.admit(request(model, next_one, 12))
            next_one += 1
        for answer in loop.round().finished.values():
            done += 1
            ends.append(time.perf_counter())
            tokens.append(len(answer.token_ids))
    fifth = count // 5
    early, late = (
        (ends[fifth] - ends[0]) / sum(tokens[1 : fifth + 1]),
        (ends[-1] - ends[-1 - fifth]) / sum(tokens[-fifth:]),
    )
    print(
        f"{count} requests: {1000 * early:.2f} ms a token in the first fifth, {late / early:.2f} times that in the last"
    )


def memory(model: LoadedModel, before: int, weights: int) -> None:
    """Eight requests of different lengths at once."""
    loop = DecodeLoop(model, max_rows=ROWS)
    for number in range(ROWS):
        prompt = model.codec.encode("A longer and longer prompt, word by word. " * (5 + 10 * number))
        loop.admit(DecodeRequest(prompt_ids=prompt[: model.context_length - 70], max_new_tokens=64))
    peak, live = 0, 0
    while not loop.idle:
        loop.round()
        peak, live = max(peak, anonymous()), max(live, loop._pass.cache.bytes_live)
    print(
        f"memory: {(peak - before) >> 20} MB at most, {(weights + live) >> 20} MB of weights and live keys and values: "
        f"{(peak - before) / (weights + live):.2f} times that"
    )


def anonymous() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--requests", type=int, default=500)
    asked = parser.parse_args()
    card = shipped_cards().find(asked.model)
    assert card is not None, "the model has a card"
    before = anonymous()
    model = load_model(card.model_copy(update={"dtype": asked.dtype}))
    print(f"{model.name}, weights in {model.dtype}, {model.forward} pass; {machine_of(model)}")
    assert isinstance(model.weights, WrittenModel), "the model's family is written out"
    memory(model, before, model.weights.nbytes - model.weights.embedding.nbytes)
    widths(model)
    outside(model)
    growth(model, asked.requests)


if __name__ == "__main__":
    main()

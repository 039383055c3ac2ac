"""What a round of a masked model costs with each cache, and how far what it then says is from what it says without.

    python benchmarks/canvas_caches.py [MODEL] [--prompt 256] [--canvas 64] [--block 32]

One row, and one place written a round, always that of the exact pass, so that all caches see the same canvas. Any model
of the Llama or Qwen family will do: it is asked as a bidirectional masked model, whatever it was trained for, which
tells times truly. The time is the mean of all rounds, in milliseconds: of one processor thread the time that it worked,
which other programs do not change. Total variation is half the sum of the differences of probabilities, over all holes
of the block, a mean over rounds; of a model that was not trained so it says only which cache is nearer.
"""

import argparse
import statistics
import time

import torch

from ptgflow.bench.machine import machine_of
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.masked_model import MaskedConventions, StatedConventions
from ptgflow.engine.canvas.filler import own_filler
from ptgflow.engine.canvas.keeping import Keeping
from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser
from ptgflow.engine.models.model import load_model
from ptgflow.recipe.cards import shipped_cards

CACHES: tuple[Keeping, ...] = ("none", "prefix", "dual", "dkv", "dllm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--canvas", type=int, default=64)
    parser.add_argument("--block", type=int, default=32)
    asked = parser.parse_args()
    card = shipped_cards().find(asked.model)
    assert card is not None, "the model has a card"
    stated = StatedConventions(mask_id=0)
    model = load_model(card.model_copy(update={"masked": stated, "capabilities": None}), Accelerate())
    assert isinstance(model.holes, MaskedConventions), "the card makes a masked model of it"
    print(f"{model.name} in {model.dtype}; {machine_of(model)}")
    alone = model.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    text = model.codec.encode("The river runs past the mill, and the miller counts his sacks. " * 99)[: asked.prompt]
    denoisers: dict[Keeping, Denoiser] = {}
    for cache in CACHES:
        filler = own_filler(model, cache)
        assert filler is not None, "a masked model fills by itself"
        denoisers[cache] = filler.denoiser
    rows = {cache: one.admit(text, asked.canvas) for cache, one in denoisers.items()}
    times: dict[str, list[float]] = {cache: [] for cache in CACHES}
    apart: dict[str, list[float]] = {cache: [] for cache in CACHES}
    canvas = [0] * asked.canvas
    for done in range(asked.canvas):
        begin = done - done % asked.block
        block = range(begin, min(begin + asked.block, asked.canvas))
        holes = frozenset(range(done, asked.canvas))
        laws = {}
        for cache, denoiser in denoisers.items():
            wanted = tuple(place for place in block if place in holes)
            ask = CanvasAsk(row=rows[cache], tokens=tuple(canvas), holes=holes, block=block, wanted=wanted)
            started = clock()
            (logits,) = denoiser.predict([ask])
            times[cache].append(clock() - started)
            laws[cache] = logits.softmax(dim=-1)
            apart[cache].append(float((laws[cache] - laws["none"]).abs().sum(dim=-1).mean()) / 2)
        canvas[done] = int(laws["none"][0].argmax())
    print(f"prompt {len(text)}, canvas {asked.canvas}, blocks of {asked.block}, a place a round")
    print("| cache | ms a round | x `none` | total variation to `none` |\n| --- | --- | --- | --- |")
    plain = statistics.mean(times["none"])
    for cache in CACHES:
        spent = statistics.mean(times[cache])
        print(f"| {cache} | {spent * 1000:.0f} | {plain / spent:.1f} | {statistics.mean(apart[cache]):.3f} |")


if __name__ == "__main__":
    main()

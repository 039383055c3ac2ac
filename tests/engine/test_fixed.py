"""Passes of a few fixed shapes: what is recorded is replayed over the right memory, and nothing differs from ragged."""

import pytest
import torch

from ptgflow import DraftVerify, compile
from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.passes.precision import head_maker, linear_maker
from ptgflow.engine.passes.written.fixed import WIDEST, FixedPass
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.passes.written.reading import written_out
from ptgflow.engine.request import DecodeRequest
from ptgflow.engine.slots import RowInput, SlotsFullError
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError
from tests.engine.families import VOCAB, random_network

CPU = torch.device("cpu")
CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")


class Recorder:
    """Stands for CUDA graphs: counts what is recorded, and refuses to replay over memory that has been let go."""

    def __init__(self):
        self.recorded = 0

    def __call__(self, step):
        self.recorded += 1
        return step


def opened(record=None, budget=None):
    model = written_out(
        random_network("llama"), linear_maker("float32", CPU), head_maker("float32", CPU), torch.float32
    )
    return FixedPass(model, budget=budget, record=record), WrittenPass(model, budget=None)


def feed(run, rows, texts, inputs):
    logits = run([RowInput(row=rows[at], tokens=tokens, tree=tree) for at, (tokens, tree) in inputs.items()])
    run.cache.commit({rows[at]: range(len(tokens)) for at, (tokens, _) in inputs.items()})
    run.cache.check()
    for at, (tokens, _) in inputs.items():
        texts[at] = texts.get(at, ()) + tokens
    return logits


def test_rows_that_join_grow_and_leave_are_what_they_are_in_ragged_passes():
    """Through one storage after another: more rows, more slots, fewer rows."""
    recorder = Recorder()
    fixed, ragged = opened(recorder)
    runs = {fixed: {}, ragged: {}}
    generator = torch.Generator().manual_seed(0)
    storages = set()
    for turn in range(60):
        if turn in (0, 5, 6, 20, 21):
            for run, rows in runs.items():
                rows[turn] = run.cache.admit()
        if turn in (40, 44):
            for run, rows in runs.items():
                run.cache.free(rows.pop(min(rows)))
        inputs = {}
        for at in runs[fixed]:
            count = int(torch.randint(1, 14, (), generator=generator))
            tokens = tuple(torch.randint(0, VOCAB, (count,), generator=generator).tolist())
            inputs[at] = tokens, TokenTree((5, 6, 7), (-1, -1, 0)) if turn % 2 else TokenTree.chain((8,) * (turn % 5))
        found, expected = (feed(run, rows, {}, inputs) for run, rows in runs.items())
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        storages.add((fixed._storage[0].capacity, fixed._storage[0].room))
    assert {room for _, room in storages} == {1, 2, 4, 8}
    assert {capacity for capacity, _ in storages} == {128, 256, 512}
    assert 0 < recorder.recorded <= 2 * len(storages)


def test_many_sizes_are_few_shapes():
    recorder = Recorder()
    run, _ = opened(recorder)
    row = run.cache.admit()
    for count in range(1, WIDEST + 30):
        for _ in range(2):
            run([RowInput(row=row, tokens=(3,) * count)])
            run.cache.rollback(row, 0)
    assert recorder.recorded == 6, "2 to 64 tokens, in powers of two"


def test_a_pass_over_few_rows_of_many_leaves_the_others_out():
    recorder = Recorder()
    run, _ = opened(recorder)
    rows = [run.cache.admit() for _ in range(5)]
    run([RowInput(row=row, tokens=(3,)) for row in rows])
    run.cache.commit({row: range(1) for row in rows})
    for _ in range(3):
        run([RowInput(row=row, tokens=(3,)) for row in rows[:2]])
    assert not recorder.recorded
    for _ in range(3):
        run([RowInput(row=row, tokens=(3,)) for row in rows[:3]])
    assert recorder.recorded == 1


def test_padding_counts_against_the_budget():
    bytes_per_slot = opened()[0].cache.shape.bytes_per_slot
    run, _ = opened(budget=3 * 128 * bytes_per_slot)
    rows = [run.cache.admit() for _ in range(3)]
    with pytest.raises(SlotsFullError):
        run([RowInput(row=row, tokens=(3,)) for row in rows])
    run([RowInput(row=row, tokens=(3,)) for row in rows[:2]])
    run.cache.check()


def test_a_loop_writes_the_same_tokens_in_fixed_shapes():
    texts = {}
    for shapes in ("fixed", "ragged"):
        model = load_model(CARD, Accelerate(shapes=shapes))
        assert model.shapes == shapes
        loop = DecodeLoop(model, max_rows=3)
        for at in range(5):
            loop.admit(DecodeRequest(prompt_ids=tuple(range(3, 20 + 30 * at)), max_new_tokens=20))
        texts[shapes] = {}
        while not loop.idle:
            texts[shapes] |= {row: one.token_ids for row, one in loop.round().finished.items()}
    assert texts["fixed"] == texts["ragged"]


def test_fixed_shapes_are_an_option_of_a_run():
    found = {}
    for shapes in ("fixed", "ragged"):
        plan = compile(DraftVerify(), model=CARD, accelerate=Accelerate(shapes=shapes), max_tokens=16)
        found[shapes] = plan.run("Tell me about ducks.").text
    assert found["fixed"] == found["ragged"]


def test_fixed_shapes_need_the_written_out_pass():
    with pytest.raises(RunError, match=r"PTG608[\s\S]*fixed shapes[\s\S]*accelerate.shapes=auto"):
        load_model(CARD, Accelerate(shapes="fixed", forward="transformers"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_cuda_graphs_give_what_their_steps_give():
    network = random_network("llama").to("cuda")
    device = torch.device("cuda")
    model = written_out(network, linear_maker("float32", device), head_maker("float32", device), torch.float32)
    fixed, ragged = FixedPass(model, budget=None), WrittenPass(model, budget=None)
    rows = fixed.cache.admit(), ragged.cache.admit()
    for turn in range(8):
        inputs = [(7 + turn, 8), TokenTree((5, 6, 7), (-1, -1, 0))]
        found = [
            run([RowInput(row=row, tokens=inputs[0], tree=inputs[1])])
            for run, row in zip((fixed, ragged), rows, strict=True)
        ]
        for run, row in zip((fixed, ragged), rows, strict=True):
            run.cache.commit({row: (0, 1, 3)})
        torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)

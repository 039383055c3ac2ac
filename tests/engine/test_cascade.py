"""Cascades: the draft model's own drafts in fewer passes, and what n-grams add behind them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.draft_models.cascade import CascadeDrafter
from ptgflow.engine.draft_models.drafter import ModelDrafter
from ptgflow.engine.growth import TREES
from ptgflow.engine.growth.builder import Candidates
from ptgflow.engine.growth.tree_drafter import GRADES
from ptgflow.engine.lookup.suffixes import Earlier, Suffixes
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask, DecodeRequest

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


class Counted:
    """A pass that counts how often it is run."""

    def __init__(self):
        self.run, self.calls = MODEL.open_pass(), 0
        self.cache = self.run.cache

    def __call__(self, inputs):
        self.calls += 1
        return self.run(inputs)


class Fixed:
    """N-grams that foresee a given text behind the context, right or wrong."""

    def __init__(self, foreseen):
        self.foreseen, self.closed = foreseen, False

    def advance(self, context):
        self.context = list(context)

    def after(self, path, width):
        text = self.foreseen(self.context)
        if list(text[: len(path)]) != list(path) or len(path) >= len(text):
            return Candidates((), ())
        return Candidates((text[len(path)],)[:width], (0.5,)[:width])

    def close(self):
        self.closed = True


def alone(tree, size):
    run = Counted()
    return ModelDrafter(run, TREES[tree](), size=size, vocabulary=MODEL.vocab_size), run


def cascade(tree, size, foreseen, *, first=64, ahead=8):
    run = Counted()
    inner = ModelDrafter(run, TREES[tree](), size=size, vocabulary=MODEL.vocab_size)
    builder = TREES[tree]()
    return CascadeDrafter(inner, lambda: Fixed(foreseen), builder, size=size, first=first, ahead=ahead), run


def ask(context, row=0, limit=64):
    return Ask(row=row, context=list(context), limit=limit, written=0, sampling=Sampling(), seed=0)


def greedy(context, count):
    drafter, _ = alone("chain", count)
    (found,) = drafter.propose([ask(context)])
    return found.tree.tokens


@pytest.mark.parametrize("tree", TREES)
@settings(max_examples=8, deadline=None)
@given(
    context=st.lists(st.integers(3, 200), min_size=2, max_size=12),
    size=st.integers(1, 10),
    wrong=st.integers(0, 12),
    ahead=st.integers(0, 6),
)
def test_the_vertical_cascade_changes_no_draft(tree, context, size, wrong, ahead):
    """Whatever the n-grams foresee, and however much of it is right, the draft model has the last word."""
    plain, _ = alone(tree, size)
    right = greedy(context, 12)
    text = [token if at < wrong else (token + 1) % 200 for at, token in enumerate(right)]
    drafter, _ = cascade(tree, size, lambda _: text, ahead=ahead)
    for row in range(2):
        (want,), (have,) = plain.propose([ask(context, row)]), drafter.propose([ask(context, row)])
        assert have.tree == want.tree
        assert have.grades == want.grades


def test_where_n_grams_are_right_the_draft_model_runs_once():
    context = tuple(range(20, 40))
    right = greedy(context, 9)
    plain, plain_run = alone("chain", 9)
    plain.propose([ask(context)])
    several = {}
    for ahead in (0, 2, 8):
        drafter, run = cascade("chain", 9, lambda _: right, ahead=ahead)
        (found,) = drafter.propose([ask(context)])
        assert found.tree.tokens == right
        several[ahead] = run.calls
    assert several[0] == plain_run.calls
    assert several[8] < several[2] < several[0]
    # The text is read in a pass of its own, whose answer is what follows it.
    assert several[8] <= 3


def test_rows_share_the_passes_of_the_draft_model():
    contexts = [tuple(range(start, start + 15)) for start in (20, 60)]
    drafts = [greedy(context, 8) for context in contexts]
    known = dict(zip(contexts, drafts, strict=True))
    drafter, run = cascade("chain", 8, lambda context: known[tuple(context)], ahead=3)
    found = drafter.propose([ask(context, row) for row, context in enumerate(contexts)])
    assert [one.tree.tokens for one in found] == drafts
    together = run.calls
    one, run = cascade("chain", 8, lambda context: known[tuple(context)], ahead=3)
    one.propose([ask(contexts[0])])
    assert together <= run.calls + 2


@settings(max_examples=25, deadline=None)
@given(first=st.integers(1, 8), size=st.integers(1, 10), tail=st.lists(st.integers(3, 200), max_size=6))
def test_the_horizontal_cascade_goes_on_with_n_grams(first, size, tail):
    context = tuple(range(20, 40))
    right = greedy(context, first)
    drafter, run = cascade("chain", size, lambda _: [*right, *tail], first=first)
    (found,) = drafter.propose([ask(context)])
    tokens = found.tree.tokens
    assert tokens == (*right, *tail)[:size]
    assert all(grade < GRADES for grade in found.grades[:first])
    assert all(grade >= GRADES for grade in found.grades[first:])
    assert run.calls <= 3, "nothing behind the first tokens is asked of the draft model"


def test_rows_are_forgotten_and_their_n_grams_closed():
    opened = []

    def open_row():
        opened.append(Fixed(lambda _: ()))
        return opened[-1]

    inner, run = alone("chain", 4)
    drafter = CascadeDrafter(inner, open_row, TREES["chain"](), size=4, first=4, ahead=4)
    drafter.propose([ask((5, 6, 7))])
    drafter.fork(1, 0, 2)
    assert inner._rows[1].read == [5, 6]
    drafter.forget(0)
    drafter.forget(1)
    assert opened[0].closed
    assert not inner._rows
    assert run.cache.length is not None


def test_in_the_loop_the_text_is_that_of_plain_decoding():
    torch.manual_seed(0)
    prompts = [tuple(range(start, start + 12)) for start in (5, 9, 30)]
    earlier = Earlier(10_000)
    inner, _ = alone("dyspec", 12)
    drafter = CascadeDrafter(
        inner,
        lambda: Suffixes(earlier, shortest=1, longest=8),
        TREES["dyspec"](),
        size=12,
        first=3,
        ahead=4,
    )
    found = {}
    for joint in ((), (drafter,), (drafter,)):
        loop = DecodeLoop(MODEL, max_rows=3)
        for ids in prompts:
            loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=40, joint=joint, length="fixed"))
        texts = {}
        while not loop.idle:
            done = loop.round()
            assert not done.failed
            texts |= done.finished
        found.setdefault(bool(joint), []).append([texts[row].token_ids for row in sorted(texts)])
        if joint:
            # The target is its own draft model, so all that is its own is right.
            assert sum(one.accepted for one in texts.values()) > sum(one.verify_rounds for one in texts.values())
    assert found[True] == found[False] * 2
    assert not inner._rows

"""Fixed-point iterations beside the published algorithms, on a target whose next token is a function of the text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Match, Speculative
from ptgflow.engine.costs.widths import MeasuredWidth
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.growth import TREES
from ptgflow.engine.growth.dynamic import DySpec
from ptgflow.engine.jacobi.iteration import JacobiDrafter
from ptgflow.engine.jacobi.lookahead import LookaheadDrafter
from ptgflow.engine.jacobi.pool import Pool
from ptgflow.engine.jacobi.window import Window
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask, DecodeRequest, Listening
from ptgflow.engine.trees import TokenTree
from tests.engine.test_costs_widths import curve

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
VOCAB = 5
DEEP = DySpec(depth=64, width=64)


def target(text):
    """The next token: it depends on the last two tokens, so that iterations take more than one step to settle."""
    return (3 * text[-1] + text[-2] + len(text) % 2) % VOCAB


def said(text, tree):
    """What the target says after a text and after each node."""
    paths = [[tree.tokens[step] for step in tree.path(node)] for node in range(-1, len(tree))]
    return [target([*text, *path]) for path in paths]


def verified(text, tree, own):
    """The nodes that are kept, and the text after the pass."""
    path, at = [], 0
    while True:
        following = next((node for node in tree.children[at] if tree.tokens[node] == own[at]), None)
        if following is None:
            return path, [*text, *(tree.tokens[node] for node in path), own[at]]
        path.append(following)
        at = following + 1


def ask_of(text, limit=60, seed=7):
    return Ask(row=0, context=text, limit=limit, written=0, sampling=Sampling(), seed=seed)


def one_round(drafter, text, limit=60):
    (proposal,) = drafter.propose([ask_of(text, limit)])
    own = said(text, proposal.tree)
    path, after = verified(text, proposal.tree, own)
    drafter.answered(0, proposal.tree, own)
    drafter.judged(0, proposal.tree, path)
    return proposal, path, after


starts = st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(start=starts, size=st.integers(1, 7), rounds=st.integers(1, 12))
def test_jacobi_decoding_is_the_iteration_of_a_moving_block(start, size, rounds):
    """Beside Jacobi's iteration written down by places: each is computed from those before it in the last guess."""
    drafter, text = JacobiDrafter(size=size), list(start)
    guess: dict[int, int] = {}
    for _ in range(rounds):
        proposal, _, after = one_round(drafter, text)
        assert proposal.held == set(range(size))
        for place, token in enumerate(proposal.tree.tokens, start=len(text)):
            assert token == guess.get(place, token), "a place that was computed has what was computed"
        line = [*text, *proposal.tree.tokens]
        guess = {place: target(line[:place]) for place in range(len(text), len(line) + 1)}
        text = after


@settings(max_examples=60, deadline=None)
@given(start=starts, size=st.integers(1, 8))
def test_a_block_settles_in_as_many_passes_as_it_has_places(start, size):
    """Santilli et al., proposition 1: never more passes than plain decoding takes."""
    drafter, text, passes = JacobiDrafter(size=size), list(start), 0
    plain = list(start)
    while len(text) < len(start) + size:
        _, _, text = one_round(drafter, text)
        passes += 1
    while len(plain) < len(text):
        plain.append(target(plain))
    assert text == plain
    assert passes <= size


def test_rounds_without_a_draft_are_skipped_by_place():
    drafter, text = JacobiDrafter(size=6), [1, 2]
    proposal, _, _ = one_round(drafter, text)
    line = [*text, *proposal.tree.tokens]
    drafter.answered(0, TokenTree.chain(()), [4])  # Nothing was asked of it in that pass.
    (late,) = drafter.propose([ask_of([*text, 0, 0, 0])])
    assert late.tree.tokens[:4] == tuple(target(line[:place]) for place in range(5, 9))


class Published:
    """The window as in figure 4 of arXiv 2402.02057: a list for each step of the iteration, all tokens by place."""

    def __init__(self, first, width, ngram):
        self.width, self.ngram, self.levels = width, ngram, [list(first)]

    def line(self, text, column, level):
        """What a token attends to: the oldest level up to its column, then its own column."""
        return [*text, *self.levels[0][:column], *(one[column] for one in self.levels[1 : level + 1])]

    def step(self, text):
        deepest = len(self.levels) - 1
        columns = range(len(self.levels[0]) + 1)
        new = [target(self.line(text, column, deepest)) for column in columns]
        if deepest < self.ngram - 2:
            self.levels = [one[1:] for one in self.levels] + [new[1:]]
            return []
        firsts = [text[-1], *self.levels[0]]
        grams = [
            (firsts[column], *(one[column] for one in self.levels[1:]), new[column]) for column in range(self.width)
        ]
        shifted = [*self.levels[1:], new]
        self.levels = [shifted[0][1:], *shifted[1:]]
        return grams


@settings(max_examples=80, deadline=None)
@given(
    start=starts, width=st.integers(1, 5), ngram=st.integers(2, 5), rounds=st.integers(1, 12), seed=st.integers(0, 9)
)
def test_the_window_is_that_of_the_paper(start, width, ngram, rounds, seed):
    window = Window(width=width, ngram=ngram, seed=seed, text=start)
    published, text = Published(window.rows[0], width, ngram), list(start)
    for _ in range(rounds):
        tree = window.tree
        assert window.step(text[-1], said(text, tree)) == published.step(text)
        assert window.rows == published.levels
        text.append(target(text))
    if rounds >= ngram - 2:
        assert window.filled
        assert window.columns == width
        assert len(window.tree) == width - 1 + width * (ngram - 2)


@settings(max_examples=60, deadline=None)
@given(start=starts, width=st.integers(1, 5), ngram=st.integers(2, 5), guesses=st.integers(1, 4))
def test_lookahead_verifies_what_the_pool_has_and_the_window(start, width, ngram, guesses):
    """Algorithm 2, beside a pool that is filled with what the published window gives."""
    drafter = LookaheadDrafter(DEEP, size=64, width=width, ngram=ngram, guesses=guesses)
    first = Window(width=width, ngram=ngram, seed=7, text=start).rows[0]
    published, pool, text = Published(first, width, ngram), {}, list(start)
    for _ in range(14):
        proposal, _, after = one_round(drafter, text, limit=64)
        paths = {tuple(proposal.tree.tokens[step] for step in proposal.tree.path(node)) for node in proposal.held}
        columns = range(len(published.levels[0]) + 1)
        lines = [published.line([], c, level) for c in columns for level in range(len(published.levels))]
        assert paths == {tuple(line) for line in lines if line}
        drafted = {
            tuple(proposal.tree.tokens[step] for step in proposal.tree.path(node)) for node in range(len(proposal.tree))
        }
        kept = pool.get(text[-1], [])
        assert drafted == paths | {gram[:length] for gram in kept for length in range(1, ngram)}
        for gram in published.step(text):
            latest = pool.setdefault(gram[0], [])
            if gram[1:] in latest:
                latest.remove(gram[1:])
            pool[gram[0]] = [*latest, gram[1:]][-guesses:]
        text = after
    plain = list(start)
    while len(plain) < len(text):
        plain.append(target(plain))
    assert text == plain


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), max_size=30), st.integers(1, 4))
def test_a_pool_keeps_the_latest_n_grams(grams, guesses):
    pool, seen = Pool(ngram=3, guesses=guesses), []
    for gram in grams:
        pool.add(gram)
        seen = [one for one in seen if one != gram] + [gram]
        for first in range(3):
            latest = [tuple(one[1:]) for one in reversed(seen) if one[0] == first]
            assert pool.after(first)[:guesses] == latest[: len(pool.after(first))]
            assert len(pool.after(first)) <= guesses
    for first in range(3):
        known = pool.after(first)
        found = pool.candidates(first, [], 8)
        assert sorted(found.tokens) == sorted({rest[0] for rest in known})
        for token, chance in zip(found.tokens, found.chances, strict=True):
            assert chance == sum(rest[0] == token for rest in known) / (len(known) + 1)
    assert pool.candidates(0, [1, 1], 8).tokens == ()


def test_n_grams_of_the_text_are_in_the_pool_where_that_is_asked_for():
    text = [1, 2, 3, 4, 1, 2, 0, 1]
    drafter = LookaheadDrafter(DEEP, size=64, width=2, ngram=3, guesses=4, from_text=True)
    (proposal,) = drafter.propose([ask_of(text)])
    tree = proposal.tree
    paths = {tuple(tree.tokens[step] for step in tree.path(node)) for node in range(len(tree))}
    assert {(2, 3), (2, 0)} <= paths
    (proposal,) = drafter.propose([ask_of([*text, 4, 4, 3, 4])])
    tree = proposal.tree
    paths = {tuple(tree.tokens[step] for step in tree.path(node)) for node in range(len(tree))}
    assert {(4, 3), (1, 2)} <= paths


def test_the_window_rests_where_the_answer_has_less_room():
    drafter = LookaheadDrafter(DEEP, size=64, width=4, ngram=3, guesses=4)
    (proposal,) = drafter.propose([ask_of([1, 2, 3], limit=2)])
    assert not len(proposal.tree)
    drafter.answered(0, proposal.tree, [0])
    assert len(drafter._rows[0].window.rows) == 1, "no step was made"


def decoded(joint, prompts, widths=None, sampling=None, accept=None, tokens=40):
    loop = DecodeLoop(MODEL, max_rows=len(prompts), widths=widths)
    length = "fixed" if widths is None else "expected_throughput"
    for at, ids in enumerate(prompts):
        loop.admit(
            DecodeRequest(
                prompt_ids=ids,
                max_new_tokens=tokens,
                joint=joint,
                length=length,
                sampling=sampling or Sampling(),
                seed=at,
                accept=accept or Match(),
            )
        )
    found = {}
    while not loop.idle:
        done = loop.round()
        assert not done.failed
        found |= done.finished
    return [found[row] for row in sorted(found)]


PROMPTS = [tuple(range(start, start + 12)) for start in (5, 9, 30)]


def drafters():
    return (
        JacobiDrafter(size=6),
        LookaheadDrafter(TREES["dyspec"](), size=40, width=4, ngram=4, guesses=5),
        LookaheadDrafter(TREES["sequoia"](), size=40, width=3, ngram=3, guesses=5, from_text=True),
    )


def test_rows_of_the_loop_iterate_side_by_side():
    plain = [one.token_ids for one in decoded((), PROMPTS)]
    for drafter in drafters():
        assert isinstance(drafter, Listening)
        found = decoded((drafter,), PROMPTS)
        assert [one.token_ids for one in found] == plain
        assert any(one.accepted for one in found), "some guesses are right"
        assert not drafter._rows, "rows that have ended are forgotten"


def test_two_drafters_in_one_tree_both_hear_the_target():
    one, two = JacobiDrafter(size=5), LookaheadDrafter(TREES["dyspec"](), size=30, width=3, ngram=3, guesses=3)
    heard = []
    for drafter in (one, two):
        original = drafter.answered
        drafter.answered = lambda row, tree, own, original=original: (heard.append(len(own)), original(row, tree, own))
    plain = [each.token_ids for each in decoded((), PROMPTS)]
    assert [each.token_ids for each in decoded((one, two), PROMPTS)] == plain
    assert max(heard) > 5 + 1


def test_a_window_survives_a_policy_that_finds_its_nodes_unlikely():
    """On a device where each token more costs an eighth of a pass, most of a window would not be verified."""
    rising = MeasuredWidth(curve({1: 30, 2: 34, 64: 282}))
    drafter = LookaheadDrafter(TREES["dyspec"](), size=40, width=3, ngram=3, guesses=5)
    steps, rests = [], []
    answered = drafter.answered

    def listen(row, tree, own):
        before = drafter._rows[row].window.rows if row in drafter._rows else None
        pending = row in drafter._rows and drafter._rows[row].last is not None
        answered(row, tree, own)
        if pending:
            assert drafter._rows[row].window.rows is not before, "every node of the window was verified"
            steps.append(1)
        else:
            rests.append(1)

    drafter.answered = listen
    found = decoded((drafter,), PROMPTS, widths=rising, tokens=60)
    assert [one.token_ids for one in found] == [one.token_ids for one in decoded((), PROMPTS, tokens=60)]
    assert len(steps) >= len(PROMPTS)
    assert len(rests) > len(steps), "it costs more than it gives, so it is asked ever more rarely"
    assert all(one.proposed >= 2 for one in found)


def test_at_a_temperature_guesses_are_the_row_s_draws_only_where_these_are_made_ahead():
    sampling = Sampling(temperature=1.0, top_k=4)
    plain = [one.token_ids for one in decoded((), PROMPTS, sampling=sampling)]
    for accept in (Match(), Speculative()):
        drafter = JacobiDrafter(size=6)
        own = []
        original = drafter.answered
        drafter.answered = lambda row, tree, said, original=original, own=own: (
            own.append(said),
            original(row, tree, said),
        )
        found = decoded((drafter,), PROMPTS, sampling=sampling, accept=accept)
        assert any(one.accepted for one in found)
        assert all(0 <= token < MODEL.vocab_size for said in own for token in said)
        if accept == Match():
            assert [one.token_ids for one in found] == plain


def test_draws_are_not_looked_at_before_they_are_made():
    """Under rejection sampling the law is kept only if no guess follows from numbers of later positions."""
    sampling = Sampling(temperature=1.0)
    proposals = []
    for seed in (0, 10**6):
        drafter = JacobiDrafter(size=4)
        loop = DecodeLoop(MODEL, max_rows=1)
        loop.admit(
            DecodeRequest(
                prompt_ids=PROMPTS[0],
                max_new_tokens=12,
                joint=(drafter,),
                length="fixed",
                sampling=sampling,
                seed=seed,
                accept=Speculative(),
            )
        )
        drafter.propose([Ask(row=0, context=list(PROMPTS[0]), limit=4, written=0, sampling=sampling, seed=5)])
        loop.round()
        proposals.append(tuple(drafter._rows[0].said))
    assert proposals[0] == proposals[1], "the first guesses are the likeliest tokens, whatever the seed of the draws"

"""Laws of written places as if nothing were written there: of both denoisers, and in the loop with what reads them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.loop import CanvasLoop
from ptgflow.engine.canvas.remasking import Gibbs, WinoBack
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.canvas.selectors import TopK, Wino
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.slots.placement import NewTokens
from ptgflow.engine.trees import TokenTree
from tests.engine.canvas.hidden_markov import HOLE, HiddenMarkov, filled, holes_of, settled_of, sight_of
from tests.engine.canvas.masked_networks import BIDIRECTIONAL, BLOCK_CAUSAL, LAYOUTS, sees
from tests.engine.canvas.oracle_denoiser import FIRST, MarkovDenoiser
from tests.engine.heads_of_tiny import _gate, modules, saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
IDS = st.integers(3, 200)
CANVASES = st.lists(st.tuples(IDS, st.booleans()), min_size=2, max_size=8).filter(
    lambda canvas: any(hole for _, hole in canvas) and not all(hole for _, hole in canvas)
)
CLOSE = {"atol": 3e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return load_heads(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL), MODEL, kind="masked")


def ask(row, canvas, doubted=None):
    """All holes of a canvas that is one block, and all that is written in it."""
    written = tuple(place for place, (_, hole) in enumerate(canvas) if not hole)
    holes = frozenset(range(len(canvas))) - frozenset(written)
    return CanvasAsk(
        row=row,
        tokens=tuple(token for token, _ in canvas),
        holes=holes,
        block=range(len(canvas)),
        wanted=tuple(sorted(holes)),
        doubted=written if doubted is None else doubted,
    )


def gated(heads, prompt, canvas, doubted=None):
    denoiser = GatedDenoiser(heads, MODEL)
    (found,) = denoiser.predict([ask(denoiser.admit(tuple(prompt), len(canvas)), canvas, doubted)])
    return found


def in_one_sequence(heads, prompt, canvas, place):
    """What predicts a written place, from one sequence over transformers' modules: text, canvas, and two places more.

    The first of these is the place before, the second a hole at the place; both see all of the canvas but their places.
    """
    decoder, begin = modules(), len(prompt)
    window = [None if hole else token for token, hole in canvas[:-1]]
    extra = [] if place in (0, len(canvas) - 1) else [window[place - 1], None]
    size = begin + len(window) + len(extra)
    seen = torch.ones(size, size, dtype=torch.bool).tril()
    seen[begin:, begin : begin + len(window)] = True
    if extra:
        seen[-2:, begin + place - 1 : begin + place + 1] = False
        seen[-2:, -2:] = True
    positions = [*range(begin + len(window)), *(begin + place - 1, begin + place)][:size]
    _gate(decoder, heads, begin)
    with torch.no_grad():
        holes = heads.tensors["masks"][0]
        read = [decoder.embed_tokens(torch.tensor(token)) for token in prompt]
        read += [holes if token is None else decoder.embed_tokens(torch.tensor(token)) for token in [*window, *extra]]
        states = decoder(
            inputs_embeds=torch.stack(read)[None],
            attention_mask=seen[None, None],
            position_ids=torch.tensor([positions]),
            use_cache=False,
        ).last_hidden_state[0]
    line = states[-2] if extra else states[begin + place - 1]
    return MODEL.output_rows(torch.arange(MODEL.vocab_size)) @ line


@settings(max_examples=12, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=6), CANVASES)
def test_the_adapted_model_doubts_as_in_one_sequence(heads, prompt, canvas):
    one = ask(0, canvas)
    found = gated(heads, prompt, canvas)[len(one.wanted) :]
    # What is written before the first hole is in work, too, where it is doubted.
    expected = torch.stack([in_one_sequence(heads, prompt, canvas, place) for place in one.doubted])
    first = min(*one.wanted, *one.doubted)
    assert first == 0
    torch.testing.assert_close(found, expected, **CLOSE)


@settings(max_examples=12, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=6), CANVASES, st.data())
def test_what_is_doubted_beside_a_place_changes_nothing(heads, prompt, canvas, data):
    one = ask(0, canvas)
    whole = gated(heads, prompt, canvas)
    plain = gated(heads, prompt, canvas, one.doubted[:1])
    torch.testing.assert_close(whole[: len(one.wanted)], plain[:-1], **CLOSE)
    some = tuple(sorted({one.doubted[0], *data.draw(st.sets(st.sampled_from(one.doubted)))}))
    part = gated(heads, prompt, canvas, some)[len(one.wanted) :]
    at = [len(one.wanted) + one.doubted.index(place) for place in some]
    torch.testing.assert_close(part, whole[at], **CLOSE)


@settings(max_examples=10, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=6), IDS, IDS, st.booleans())
def test_where_nothing_else_has_seen_the_token_it_is_the_law_of_a_hole(heads, prompt, before, token, hole):
    """The last of three places is not read, so only the first one could have seen the second."""
    first = (before, hole)
    # Where the first one is written it is doubted as well, so that it is in work and not text.
    doubted = gated(heads, prompt, [first, (token, False), (0, True)], (1,) if hole else (0, 1))[-1]
    as_hole = gated(heads, prompt, [first, (0, True), (0, True)], () if hole else (0,))
    torch.testing.assert_close(doubted, as_hole[1 if hole else 0], **CLOSE)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=6, deadline=None)
@given(st.data())
def test_public_models_doubt_as_in_one_sequence(name, data):
    layout = LAYOUTS[name]
    conventions = layout.conventions
    prompt = data.draw(st.lists(st.integers(0, 62), max_size=5))
    canvas = data.draw(st.lists(st.none() | st.integers(0, 62), min_size=2, max_size=6))
    length = conventions.block_length or len(canvas)
    block = range(data.draw(st.integers(0, (len(canvas) - 1) // length)) * length, len(canvas))[:length]
    written = tuple(place for place in block if canvas[place] is not None)
    denoiser = layout.denoiser()
    (found,) = denoiser.predict([public_ask(denoiser.admit(tuple(prompt), len(canvas)), canvas, block, written)])
    for line, place in zip(found[len(found) - len(written) :], written, strict=True):
        torch.testing.assert_close(line, doubting(layout, prompt, canvas, place), **CLOSE)


def public_ask(row, canvas, block, doubted):
    holes = frozenset(place for place, token in enumerate(canvas) if token is None)
    return CanvasAsk(
        row=row,
        tokens=tuple(0 if token is None else token for token in canvas),
        holes=holes,
        block=block,
        wanted=tuple(sorted(holes & set(block))),
        doubted=doubted,
    )


def doubting(layout, prompt, canvas, place):
    """A written place from one unpadded pass over the whole text, and behind it the places that stand in for it."""
    conventions, begin = layout.conventions, len(prompt)
    text = [*prompt, *(conventions.mask_id if token is None else token for token in canvas)]
    size, own = len(text), begin + place
    row = own - 1 if conventions.shifted and own else own
    extra = list(range(row, own + 1))
    if row != own and not sees(conventions, begin, row, own):
        extra = []
    ids = [*text, *(conventions.mask_id if one == own else text[one] for one in extra)]
    places = [*range(size), *extra]

    def visible(asking, seen):
        if seen >= size:
            return asking >= size
        if asking >= size and seen >= 0 and seen in extra:
            return False
        return sees(conventions, begin, places[asking], seen)

    added = [
        [0.0 if visible(asking, seen) else -1e30 for seen in range(len(ids))] for asking in range(len(ids))
    ]  # fmt: skip
    logits = layout.plain(
        torch.tensor([ids]), attention_mask=torch.tensor(added)[None, None], position_ids=torch.tensor([places])
    ).logits
    logits[..., conventions.mask_id] = -torch.inf
    return logits[0, size if extra else row, : layout.vocab]


@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_what_is_kept_changes_no_doubt(name):
    """Under block-causal attention what is kept is exact, so doubts are, too, whatever is computed anew."""
    layout, prompt = LAYOUTS[name], (5, 9, 14)
    kept, whole = layout.denoiser("prefix"), layout.denoiser()
    rows = [one.admit(prompt, 8) for one in (kept, whole)]
    canvas = [7, None, 21, None, None, 30, None, 11]
    for block, doubted in ((range(4), (0, 2)), (range(4), (0,)), (range(4, 8), (5, 7)), (range(4, 8), (7,))):
        found = [
            one.predict([public_ask(row, canvas, block, doubted)])[0]
            for one, row in zip((kept, whole), rows, strict=True)
        ]
        torch.testing.assert_close(*found, **CLOSE)
        canvas[block.start + 1] = 44


@pytest.mark.parametrize("name", BIDIRECTIONAL)
@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_caches_that_tolerate_doubts_answer_them(name, cache):
    """As a full pass does, where nothing has changed since the one that computed everything."""
    layout, prompt, canvas = LAYOUTS[name], (5, 9, 14), [7, None, 21, None, None, 30]
    one, block = layout.denoiser(cache), range(2, 4)
    row = one.admit(prompt, len(canvas))
    (first,) = one.predict([public_ask(row, canvas, block, (2,))])
    (second,) = one.predict([public_ask(row, canvas, block, (2,))])
    whole = layout.denoiser()
    (exact,) = whole.predict([public_ask(whole.admit(prompt, len(canvas)), canvas, block, (2,))])
    torch.testing.assert_close(first, exact, **CLOSE)
    torch.testing.assert_close(second, exact, **CLOSE)


@given(st.integers(1, 7), st.data())
def test_of_every_depth_one_place_is_seen(size, data):
    parents, tokens = list(range(-1, size - 1)), list(range(size))
    starts = data.draw(st.lists(st.integers(0, size - 2), max_size=3)) if size > 1 else []
    for start in starts:
        parents += [start - 1, len(parents)]
        tokens += [0, 0]
    tree = TokenTree(tuple(tokens), tuple(parents))
    seen = NewTokens(length=3, tokens=(1, 2), tree=tree, mutual=True).sees()[2:]
    assert bool(seen[:, :2].all()), "text is seen by all"
    depths = torch.tensor(tree.depths)
    for node in range(len(tree)):
        visible = seen[node, 2:]
        assert sorted(depths[visible].tolist()) == list(range(size))
        assert bool(visible[node]), "a place sees itself"
        if node < size:
            assert not visible[size:].any(), "the canvas does not see what stands in for its places"


def greedy(markov, selector, remasker):
    """The plain loop, with the likeliest tokens."""
    selector, remasker = selector.opened(), remasker.opened()
    generator = torch.Generator().manual_seed(0)
    canvas, written, done = (HOLE,) * markov.length, {}, 0
    while HOLE in canvas:
        law = markov.predict(canvas)
        tokens = law.argmax(dim=-1)
        chosen = selector.select(sight_of(markov, canvas, tokens, done, generator))
        after, fresh = filled(canvas, tokens.tolist(), chosen.tolist())
        scores = law.amax(dim=-1).tolist()
        written |= {place: one for place, one in zip(holes_of(canvas), scores, strict=True) if place in fresh}
        settled = settled_of(markov, canvas, after, fresh, written, done, generator)
        again = set(settled.positions[remasker.reopen(settled)].tolist())
        canvas = tuple(HOLE if place in again else token for place, token in enumerate(after))
        done += 1
    return canvas, done


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(
        [
            (Wino(threshold=0.5), WinoBack(threshold_back=0.9)),
            (TopK(k=3), WinoBack(threshold_back=0.7)),
            (TopK(k=2), Gibbs(k=2, tau=1e-6, rounds=3)),
        ]
    ),
)
def test_the_loop_asks_what_the_rules_are_told_in_the_plain_loop(seed, rules):
    markov = HiddenMarkov.random(seed, 5)
    selector, remasker = rules
    request = CanvasRequest(
        prompt_ids=(5,),
        canvas=(0,) * 5,
        holes=(True,) * 5,
        frozen=(False,) * 5,
        denoiser=MarkovDenoiser({(5,): markov}, MODEL.vocab_size),
        selector=selector,
        remasker=remasker,
    )
    loop = CanvasLoop(MODEL, request.denoiser, max_rows=1)
    loop.admit(request)
    found = []
    while not loop.idle:
        found += loop.round().finished.values()
    text, rounds = greedy(markov, selector, remasker)
    assert found[0].token_ids == tuple(token + FIRST for token in text)
    assert found[0].rounds == rounds

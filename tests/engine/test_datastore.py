"""Datastores beside a scan of their texts, and what is said of those that cannot be used."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.growth import grow_together
from ptgflow.engine.growth.dynamic import DySpec
from ptgflow.engine.lookup.datastore import CONFIG, END, ORDER, TOKENS, Datastore, load_datastore
from ptgflow.engine.lookup.retrieved import Retrieved
from ptgflow.engine.lookup.suffix_array import span, suffix_array
from ptgflow.engine.models.model import load_model
from ptgflow.engine.models.tokenizer import load_codec
from ptgflow.errors import RunError

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
CODEC = load_codec(CARD)
texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=14), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5))
def test_places_are_in_the_order_of_what_stands_there(tokens, power):
    depth = 2**power
    found = suffix_array(np.array(tokens, dtype=np.int32), depth=depth).tolist()
    assert found == sorted(range(len(tokens)), key=lambda place: (tokens[place : place + depth], place))


def test_long_repetitions_are_ordered_up_to_a_depth():
    tokens = np.array([7] * 1000 + [3], dtype=np.int32)
    order = suffix_array(tokens)
    assert order[0] == 1000
    assert sorted(order.tolist()) == list(range(1001))
    first, last = span(tokens, order, [7] * 20)
    assert last - first == 981


@settings(max_examples=200, deadline=None)
@given(texts, st.lists(st.integers(0, 2), max_size=10), st.integers(1, 3), st.integers(0, 5))
def test_the_longest_end_that_occurs_is_found_with_all_its_places(all_texts, query, shortest, more):
    store = Datastore.of(all_texts)
    length, places = store.longest(query, shortest=shortest, longest=shortest + more)
    everything = store.tokens.tolist()

    def behind(words):
        return {at + len(words) for at in range(len(everything)) if everything[at : at + len(words)] == words}

    lengths = [n for n in range(shortest, min(shortest + more, len(query)) + 1) if behind(query[len(query) - n :])]
    assert length == max(lengths, default=0)
    assert set(places.tolist()) == (behind(query[len(query) - length :]) if length else set())


def continuations(all_texts, end):
    """What stands behind an end, in each text of its own."""
    return [
        tuple(text[at + len(end) :])
        for text in all_texts
        for at in range(len(text) - len(end) + 1)
        if text[at : at + len(end)] == list(end)
    ]


@settings(max_examples=150, deadline=None)
@given(texts, st.lists(st.integers(0, 2), min_size=2, max_size=8), st.integers(1, 12))
def test_the_tree_has_the_most_frequent_prefixes(all_texts, context, size):
    """REST, section 3.2: of all prefixes of the continuations those with the largest weight."""
    row = Retrieved(Datastore.of(all_texts), shortest=1, longest=5, most=1000)
    row.advance(context)
    found = [end for n in range(5, 0, -1) if (end := context[-n:]) and n <= len(context)]
    end = next((one for one in found if any(True for _ in continuations(all_texts, one))), None)
    after = continuations(all_texts, end) if end else []
    weights = Counter(one[:length] for one in after for length in range(1, len(one) + 1))

    def expand(wanted):
        return [
            [row.after([one.tree.tokens[step] for step in one.tree.path(node)], 8) for node in one.nodes]
            for _, one in wanted
        ]

    (grown,) = grow_together(DySpec(depth=64, width=8), [size], expand)
    tree = grown.tree
    drafted = [tuple(tree.tokens[step] for step in tree.path(node)) for node in range(len(tree))]
    assert len(drafted) == min(size, len(weights))
    assert sorted((weights[path] for path in drafted), reverse=True) == sorted(weights.values(), reverse=True)[:size]
    for path, survival in zip(drafted, grown.survival, strict=True):
        assert survival == pytest.approx(weights[path] / (len(after) + 1))


def test_of_many_continuations_some_are_counted_evenly():
    store = Datastore.of([[1, token] for token in range(2, 102) for _ in range(3)])
    row = Retrieved(store, shortest=1, longest=4, most=50)
    row.advance([1])
    found = row.after([], 100)
    assert sum(round(chance * 51) for chance in found.chances) == 50
    assert max(found.tokens) > 90
    assert min(found.tokens) < 10


def test_nothing_is_found_across_two_texts():
    row = Retrieved(Datastore.of([[1, 2], [3, 4]]), shortest=1, longest=4, most=9)
    row.advance([2])
    assert row.after([], 4).tokens == ()
    row.advance([9, 3])
    assert row.after([], 4).tokens == (4,)
    assert row.after([4], 4).tokens == ()
    row.advance([9])
    assert row.after([], 4).tokens == ()


# --- on disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    words = ["One, two, three.", "Two, three, four."]
    store = Datastore.of(CODEC.encode(one) for one in words)
    store.save(tmp_path, codec=CODEC, model="tiny", texts=2, data=[("a.txt", "00")])
    return tmp_path


def test_it_is_mapped_as_it_was_written(folder):
    store, config = load_datastore(folder, CODEC, model="tiny")
    made = Datastore.of(CODEC.encode(one) for one in ("One, two, three.", "Two, three, four."))
    assert (store.tokens == made.tokens).all()
    assert (store.order == made.order).all()
    assert isinstance(store.tokens.base, np.memmap)
    assert config.texts == 2
    assert config.tokens == (made.tokens != END).sum()
    assert config.tokenizer == load_model(CARD).codec.fingerprint == CODEC.fingerprint


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (CONFIG, None, "datastore.json: No such file"),
        (TOKENS, None, "tokens.npy: No such file"),
        (ORDER, b"\x93NUMPY", "the SHA-256 of order.npy is not that of datastore.json"),
        (CONFIG, b"{", "datastore.json"),
        (CONFIG, b"\xff", "utf-8"),
        (CONFIG, b'{"format": 2}', "datastore.json: format"),
    ],
)
def test_one_that_is_damaged_is_refused(folder, name, change, words):
    if change is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(change)
    with pytest.raises(RunError, match="PTG631") as caught:
        load_datastore(folder, CODEC, model="tiny")
    assert words in str(caught.value)


def test_one_of_another_tokenizer_is_refused_with_both_sides(folder):
    text = (folder / CONFIG).read_text().replace(CODEC.fingerprint, "0123456789abcdef")
    (folder / CONFIG).write_text(text)
    with pytest.raises(RunError, match="PTG632") as caught:
        load_datastore(folder, CODEC, model="tiny")
    assert "0123456789abcdef" in str(caught.value)
    assert CODEC.fingerprint in str(caught.value)


def test_an_empty_one_is_refused(tmp_path):
    Datastore.of([]).save(tmp_path, codec=CODEC, model="tiny", texts=0, data=[])
    with pytest.raises(RunError, match="PTG633"):
        load_datastore(tmp_path, CODEC, model="tiny")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="PTG610"):
        Datastore.of([[1]]).save(tmp_path / "file", codec=CODEC, model="tiny", texts=1, data=[])

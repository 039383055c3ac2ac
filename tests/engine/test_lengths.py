"""How deep drafts are: rules that follow from what became of earlier drafts."""

from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.lengths import Heuristic, Thompson, cut
from ptgflow.engine.trees import TokenTree


def chain(length):
    return TokenTree.chain(tuple(range(length)))


def test_the_heuristic_goes_up_by_two_and_down_by_one():
    length = Heuristic(start=5, most=8)
    seen = []
    for kept in (5, 7, 8, 2, 0):
        depth = length.depth()
        seen.append(depth)
        length.learn(chain(depth), tuple(range(min(kept, depth))))
    assert seen == [5, 7, 8, 8, 7]
    for _ in range(20):
        length.learn(chain(3), ())
    assert length.depth() == 1


def test_thompson_drafts_deep_where_drafts_are_right_and_short_where_they_are_not():
    means = {}
    for right in (True, False):
        length = Thompson(most=16, seed=1)
        for _ in range(60):
            depth = length.depth()
            assert 1 <= depth <= 16
            length.learn(chain(depth), tuple(range(depth)) if right else ())
        means[right] = sum(length.depth() for _ in range(200)) / 200
    assert means[True] > 10
    assert means[False] < 1.5


def test_thompson_s_mean_is_that_of_its_chance():
    """A token that is kept three times in four: the depth is geometric, 1 / (1 - 3/4) = 4 without a bound."""
    length = Thompson(most=1000, seed=5)
    for at in range(4000):
        length.learn(chain(1), (0,) if at % 4 else ())
    mean = sum(length.depth() for _ in range(4000)) / 4000
    assert abs(mean - 4) < 0.3


@given(
    st.integers(0, 6).flatmap(lambda size: st.tuples(*(st.integers(-1, node - 1) for node in range(size)))),
    st.integers(0, 4),
)
def test_a_cut_keeps_the_first_levels(parents, depth):
    tree = TokenTree(tuple(range(len(parents))), parents)
    kept = cut(tree, depth)
    small = tree.restricted(kept)
    assert max(small.depths, default=-1) < depth
    assert len(small) == sum(level < depth for level in tree.depths)

"""What texts are measured by: published examples, brute force, and laws."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.bench.measures.chrf import Chrf, absence
from ptgflow.bench.measures.coverage import coverage, covered, filled
from ptgflow.bench.measures.edits import cut, edits_of, f_half, gleu
from ptgflow.bench.measures.perplexity import Scorer
from ptgflow.bench.measures.repetition import distinct, repeated
from ptgflow.bench.measures.rouge import common, rouge_l, words_of
from ptgflow.diagnostics import Severity

WORDS = st.lists(st.sampled_from("abc"), max_size=7)
TEXTS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "."]), min_size=1, max_size=12).map(" ".join)


def longest_by_trying(one, other):
    """Every subsequence of `one`, the longest first, looked for in `other`."""
    for size in range(len(one), 0, -1):
        for some in itertools.combinations(one, size):
            rest = iter(other)
            if all(word in rest for word in some):
                return size
    return 0


@given(WORDS, WORDS)
def test_what_is_common_is_the_longest_subsequence(one, other):
    assert common(one, other) == longest_by_trying(one, other)


def test_rouge_l_of_the_paper():
    """Lin 2004, section 3.1: 'police killed the gunman' against two candidates, 3/4 and 2/4."""
    reference = "police killed the gunman"
    assert rouge_l("police kill the gunman", reference) == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", reference) == pytest.approx(2 / 4)


@given(TEXTS, TEXTS)
def test_laws_of_rouge_l(one, other):
    assert rouge_l(one, one) == 1
    assert rouge_l(one, other) == pytest.approx(rouge_l(other, one))
    assert 0 <= rouge_l(one, other) <= 1


def test_rouge_l_against_nothing():
    assert rouge_l("", "") == rouge_l("...", "!") == 1
    assert rouge_l("", "a word") == rouge_l("a word", "") == 0
    assert words_of("It's GROSS, Straße_2!") == ["it", "s", "gross", "straße", "2"]


@given(TEXTS, TEXTS)
def test_rouge_l_is_that_of_the_package_of_its_name(one, other):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    if words_of(one) and words_of(other):
        assert rouge_l(one, other) == pytest.approx(scorer.score(other, one)["rougeL"].fmeasure)


def test_chrf_is_100_of_the_same_text_and_0_of_no_shared_letter():
    pytest.importorskip("sacrebleu")
    chrf = Chrf()
    assert absence() is None
    assert chrf("A text.", "A text.") == pytest.approx(100)
    assert chrf("xyz", "abc") == 0
    # F2 of the character n-grams that "abcd" and "abce" have: 3 of 4, 2 of 3, 1 of 2, and 0 of 1.
    assert chrf("abcd", "abce") == pytest.approx(100 * (3 / 4 + 2 / 3 + 1 / 2) / 4)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = absence()
    assert found is not None
    assert found.severity is Severity.WARNING
    assert "'ptgflow[bench]'" in str(found)
    assert "chrF is left out" in str(found)


@given(TEXTS, st.integers(1, 4))
def test_repetition_is_what_is_not_distinct(text, size):
    words = words_of(text)
    if len(words) < size:
        assert distinct(text, size) is None
        assert repeated(text, size) is None
        return
    grams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
    again = sum(gram in grams[:at] for at, gram in enumerate(grams))
    assert repeated(text, size) == pytest.approx(again / len(grams))
    assert distinct(text, size) == pytest.approx(1 - again / len(grams))


def test_a_loop_repeats_itself():
    assert repeated("one two three four five six seven") == 0
    assert repeated("and so on " * 20) == pytest.approx(54 / 57)


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("Plan your time", "Plan your time: good planning of each week helps.", False),
        ("Manage the budget", "Manage the budget: management of money comes first.", True),
        ("Manage the budget", "1. Manage the budget", True),
        ("Manage the budget", "Manage the budget", False),
        ("Manage the budget", "Manage the budget: cats sleep.", False),
        ("Manage the budget", "Small budgets go a long way.", True),
        ("A to Z", "A to Z words follow", True),
        ("A to Z", "A to Z", False),
        (None, "Anything.", True),
        (None, " \n", False),
    ],
)
def test_a_point_is_covered_by_words_on_its_subject(title, text, expected):
    assert covered(title, text) is expected


def test_coverage_is_of_answers_in_parts():
    assert coverage([(None, "All of it.")]) is None
    assert filled([(None, "All of it.")]) is None
    assert filled([("Name", "Ada"), ("Age", "Age: "), ("Town", "")]) == pytest.approx(1 / 3)
    assert coverage([("Sleep well", "Sleep well: sleeping helps."), ("Eat well", "")]) == 0.5


def test_gleu_is_100_of_a_reference_and_below_of_the_source():
    source, right = [cut("They is tall men .")], [[cut("They are tall men .")]]
    assert gleu(source, right[0], right) == pytest.approx(100)
    assert gleu(source, source, right) < 50


def test_gleu_of_two_short_sentences_by_hand():
    """One n-gram of each size is penalised that the source has and the reference has not."""
    source, written, reference = (cut(text) for text in ("a b c d e", "a b c d f", "a x c d f"))
    # 1-grams: a c d f of 5, less b; 2: `c d`, `d f` of 4, less `a b`, `b c`; 3: `c d f` of 3, less two; 4: 0 of 2.
    assert gleu([source], [written], [[reference]]) == 0
    more = (cut(text) for text in ("a b c d e f g", "a b c d e f h", "z b c d e f h"))
    source, written, reference = more
    counts = [(6 - 1, 7), (5 - 1, 6), (4 - 1, 5), (3 - 1, 4)]
    expected = math.exp(sum(math.log(right / of) for right, of in counts) / 4)
    assert gleu([source], [written], [[reference]]) == pytest.approx(100 * expected)


@given(TEXTS, TEXTS, TEXTS)
def test_laws_of_edits(source, written, other):
    one, own, reference = cut(source), cut(written), cut(other)
    assert (edits_of(one, own) == set()) == (one == own)
    assert f_half([one], [reference], [[reference]]) == pytest.approx(100)
    assert f_half([one], [one], [[reference]]) == (0 if one != reference else 100)
    assert 0 <= f_half([one], [own], [[reference]]) <= 100 + 1e-9
    assert f_half([one], [own], [[reference, own]]) == pytest.approx(100)


def test_f_half_counts_precision_twice():
    source, written = cut("a b c d"), cut("a x c y")
    reference = cut("a x c d")
    assert f_half([source], [written], [[reference]]) == pytest.approx(100 * 1.25 * 0.5 / (0.25 * 0.5 + 1))


@pytest.mark.parametrize("size", [1, 5, 96, 97, 200])
@pytest.mark.parametrize("prompt", [(), (5,), (5, 6, 7)])
def test_surprise_is_that_of_one_pass_of_transformers(tiny, transformers_tiny, prompt, size):
    generator = torch.Generator().manual_seed(size)
    ids = tuple(torch.randint(0, tiny.vocab_size, (size,), generator=generator).tolist())
    before = prompt or (tiny.codec.start_id,)
    laws = transformers_tiny.network(torch.tensor([[*before, *ids]])).logits[0].log_softmax(-1)
    expected = -sum(float(laws[len(before) + at - 1, token]) for at, token in enumerate(ids))
    nats, tokens = Scorer(tiny)(prompt, ids)
    assert tokens == size
    assert nats == pytest.approx(expected, rel=1e-4)


def test_a_text_beyond_the_context_is_scored_to_its_end(tiny):
    score = Scorer(tiny)
    ids = (7, 8, 9) * (tiny.context_length // 2)
    nats, tokens = score((5, 6), ids)
    assert tokens == len(ids)
    assert math.isfinite(nats)
    assert score((5, 6), ids[:100]) == score((5, 6), ids[:100])
    assert score((5,), ()) == (0.0, 0)

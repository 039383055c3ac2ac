"""Exact enumeration over the uniform numbers that rules of acceptance ask for, and what it is applied to."""

import itertools
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import torch
from hypothesis import strategies as st

from ptgflow.engine.randomness import Purpose
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree

VOCAB = 3
START = VOCAB
"""What stands before the first token of a text: it has a row of its own in a table of distributions."""

QUARTERS = [
    tuple(Fraction(part, 4) for part in parts) for parts in itertools.product(range(5), repeat=VOCAB) if sum(parts) == 4
]
distributions = st.sampled_from(QUARTERS)
tables = st.lists(distributions, min_size=VOCAB + 1, max_size=VOCAB + 1).map(tuple)
"""A Markov chain on the vocabulary: row t is the distribution after token t."""


def farey(order):
    """All fractions from 0 to 1 with denominators up to `order`, ascending."""
    found = [Fraction(0), Fraction(1, order)]
    while found[-1] < 1:
        before, last = found[-2:]
        times = (order + before.denominator) // last.denominator
        found.append(
            Fraction(
                times * last.numerator - before.numerator,
                times * last.denominator - before.denominator,
            )
        )
    return found


EDGES = farey(256)
"""Where results may change: with laws in quarters no p / q, no sum of p and no sum of a residual is anything else."""
MIDDLES = [float(low + high) / 2 for low, high in itertools.pairwise(EDGES)]


@dataclass(frozen=True)
class Seen:
    """What is seen of a process when only some of its numbers are fixed, and all others are high."""

    asks: tuple | None
    """The first number that is not fixed."""
    result: object
    notes: tuple


def look(process, fixed):
    notes, asked = [], []

    def numbers(position, purpose, attempt=0):
        key = (position, purpose, attempt)
        if key not in fixed:
            asked.append(key)
        return fixed.get(key, MIDDLES[-1])

    result = process(numbers, notes.append)
    return Seen(asked[0] if asked else None, result, tuple(notes))


def outcomes(process):
    """Every result of `process(numbers, note)` with its exact probability.

    A process is a function of the numbers that it asks for, constant between neighbouring edges, and each value that a
    number decides on holds on one interval; so the ends of intervals are found by bisection. What a number has decided
    shows in what is asked for next, in the result, and in what the process notes. Were an interval missed, the weights
    would be wrong, and the law would not come out right.
    """
    law = Counter()
    open_cases = [({}, Fraction(1), look(process, {}))]
    while open_cases:
        fixed, weight, seen = open_cases.pop()
        if seen.asks is None:
            law[seen.result] += weight
            continue

        def at(index, fixed=fixed, seen=seen):
            return look(process, {**fixed, seen.asks: MIDDLES[index]})

        low, last = 0, at(len(MIDDLES) - 1)
        for first, until, found in pieces(at, low, at(low), len(MIDDLES) - 1, last):
            width = EDGES[until + 1] - EDGES[first]
            open_cases.append(({**fixed, seen.asks: MIDDLES[first]}, weight * width, found))
    return law


def pieces(at, low, seen_low, high, seen_high):
    """The longest runs of indices between `low` and `high` on which the same is seen."""
    if seen_low == seen_high:
        return [(low, high, seen_low)]
    if high == low + 1:
        return [(low, low, seen_low), (high, high, seen_high)]
    middle = (low + high) // 2
    seen = at(middle)
    left, right = pieces(at, low, seen_low, middle, seen), pieces(at, middle, seen, high, seen_high)
    return [*left[:-1], (left[-1][0], right[0][1], seen), *right[1:]]


def tensor(rows):
    return torch.tensor([[float(a) for a in row] for row in rows], dtype=torch.float64)


def one_round(rule, table, proposal, written, numbers):
    """What a rule answers to a proposal after `written`, and the tokens that it writes."""
    tree, laws = proposal
    state = written[-1] if written else START
    judged = rule.judge(lambda at: table[tree.tokens[at - 1] if at else state], tree, laws, len(written), numbers)
    return judged, (*(tree.tokens[node] for node in judged.path), judged.token)


def rounds(rule, table, propose, length):
    """A process: rounds until `length` tokens are written. `propose(written, numbers, note)` gives tree and laws."""
    table = tensor(table)

    def process(numbers, note):
        written = ()
        while len(written) < length:
            _, tokens = one_round(rule, table, propose(written, numbers, note), written, numbers)
            written += tokens
            note(tokens)
        return written[:length]

    return process


def law_of_target(table, length):
    law = Counter()
    for tokens in itertools.product(range(VOCAB), repeat=length):
        weight = Fraction(1)
        for before, token in itertools.pairwise((START, *tokens)):
            weight *= table[before][token]
        law[tokens] = weight
    return +law


def continued(law, table, length):
    """The law of texts of `length` tokens when the target itself writes what is missing."""
    whole = Counter()
    for tokens, weight in law.items():
        for more in itertools.product(range(VOCAB), repeat=length - len(tokens)):
            share = weight
            for before, token in itertools.pairwise((tokens[-1], *more)):
                share *= table[before][token]
            whole[tokens + more] += share
    return +whole


def law_of_one_round(rule, table, propose, depth):
    """The law of the texts of `depth + 1` tokens of which one round writes the first, and the target the others."""
    rows = tensor(table)

    def process(numbers, note):
        return one_round(rule, rows, propose((), numbers, note), (), numbers)[1]

    return continued(outcomes(process), table, depth + 1)


def stochastic_chain(table, length):
    """A drafter that draws a chain from a Markov chain of its own."""
    rows = tensor(table)

    def propose(written, numbers, note):
        state, tokens, laws = written[-1] if written else START, [], []
        for attempt in range(length):
            laws.append(rows[state])
            state = draw(rows[state], numbers(len(written), Purpose.DRAFT, attempt))
            note(state)
            tokens.append(state)
        return TokenTree.chain(tokens), torch.stack(laws)

    return propose


def test_the_edges_are_all_fractions_of_small_denominator():
    assert farey(5) == sorted({Fraction(a, b) for b in range(1, 6) for a in range(b + 1)})


def test_the_enumeration_finds_every_result_and_its_weight():
    row = tensor([QUARTERS[4]])[0]

    def process(numbers, note):
        token = draw(row, numbers(0, Purpose.DRAW))
        if numbers(1, Purpose.ACCEPT, token) < 1 / 7:
            return token, "kept"
        return token, numbers(0, Purpose.RESIDUAL) < numbers(0, Purpose.RESIDUAL)

    expected = Counter()
    for token, weight in enumerate(QUARTERS[4]):
        expected[token, "kept"] += weight / 7
        expected[token, False] += weight * 6 / 7
    assert outcomes(process) == +expected


def test_the_enumeration_sees_a_number_that_is_used_twice():
    def process(numbers, note):
        first = numbers(0, Purpose.ACCEPT) < 1 / 2
        note(first)
        return first, numbers(0, Purpose.ACCEPT) < 1 / 4

    assert outcomes(process) == {(True, True): 1 / 4, (True, False): 1 / 4, (False, False): 1 / 2}

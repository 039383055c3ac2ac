"""An oracle for masked generation: a hidden Markov model with exact conditionals, and plain loops that use the rules.

With a model that is never wrong, whatever the generated law lacks is the fault of the rules.
"""

import itertools
import pickle
from collections import Counter

import torch

from ptgflow.engine.canvas.remasking import Nothing
from ptgflow.engine.canvas.rules import Settled, Sight

HOLE = -1


class HiddenMarkov:
    """A hidden Markov model over texts of `length` tokens, as the table of their probabilities."""

    def __init__(self, start, transitions, emissions, length):
        start, transitions, emissions = (
            torch.tensor(part, dtype=torch.float64) for part in (start, transitions, emissions)
        )
        self.length, self.vocab = length, emissions.shape[1]
        # One axis for each token written so far, and the hidden state in the last.
        forward = start[None]
        for _ in range(length):
            emitted = forward[..., None, :] * emissions.T
            forward = emitted.reshape(-1, len(start)) @ transitions
        self.table = forward.sum(dim=-1).reshape([self.vocab] * length)
        self._laws = {}

    @classmethod
    def random(cls, seed, length, states=3, vocab=3):
        """Peaked rows, so that confidences range widely."""
        generator = torch.Generator().manual_seed(seed)

        def rows(*shape):
            return (2.0 * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(dim=-1).tolist()

        return cls(rows(states), rows(states, states), rows(states, vocab), length)

    def law(self, text):
        return float(self.table[text])

    def texts(self):
        return itertools.product(range(self.vocab), repeat=self.length)

    def predict(self, canvas):
        """Log-probabilities at each hole given what is written: a line for each hole."""
        if canvas not in self._laws:
            joint = self.table[tuple(slice(None) if token == HOLE else token for token in canvas)]
            lines = [joint.movedim(axis, 0).reshape(self.vocab, -1).sum(dim=-1) for axis in range(joint.dim())]
            self._laws[canvas] = (torch.stack(lines) / joint.sum()).log()
        return self._laws[canvas]

    def alone(self, canvas, place):
        """Log-probability of the token at a place given all others that are written."""
        without = (*canvas[:place], HOLE, *canvas[place + 1 :])
        line = sum(token == HOLE for token in without[:place])
        return float(self.predict(without)[line, canvas[place]])


def sight_of(markov, canvas, tokens, done, generator):
    return Sight(
        positions=torch.tensor(holes_of(canvas)),
        tokens=tokens,
        law=markov.predict(canvas),
        block=range(markov.length),
        round=done,
        generator=generator,
    )


def holes_of(canvas):
    return [place for place, token in enumerate(canvas) if token == HOLE]


def filled(canvas, tokens, chosen):
    """The canvas with those tokens that are chosen, and which places are fresh."""
    new, fresh = list(canvas), set()
    for place, token, yes in zip(holes_of(canvas), tokens, chosen, strict=True):
        if yes:
            new[place] = token
            fresh.add(place)
    return tuple(new), fresh


def settled_of(markov, before, after, fresh, written, done, generator):
    places = [place for place, token in enumerate(after) if token != HOLE]
    now = [written[place] if place in fresh else markov.alone(before, place) for place in places]
    return Settled(
        positions=torch.tensor(places, dtype=torch.long),
        tokens=torch.tensor([after[place] for place in places], dtype=torch.long),
        written=torch.tensor([written[place] for place in places], dtype=torch.float64),
        now=torch.tensor(now, dtype=torch.float64),
        fresh=torch.tensor([place in fresh for place in places], dtype=torch.bool),
        holes=after.count(HOLE),
        block=range(markov.length),
        round=done,
        generator=generator,
    )


def generate(markov, selector, generator, remasker=None, start=None, limit=1000):
    """One text as the rules make it, and the rounds that it took; a draw at each hole in every round."""
    selector, remasker = selector.opened(), (remasker or Nothing()).opened()
    canvas, written, done = start or (HOLE,) * markov.length, {}, 0
    while HOLE in canvas:
        assert done < limit, "it does not end"
        law = markov.predict(canvas)
        tokens = torch.multinomial(law.exp(), 1, generator=generator)[:, 0]
        chosen = selector.select(sight_of(markov, canvas, tokens, done, generator))
        after, fresh = filled(canvas, tokens.tolist(), chosen.tolist())
        scores = law.gather(-1, tokens[:, None])[:, 0].tolist()
        written |= {place: one for place, one in zip(holes_of(canvas), scores, strict=True) if place in fresh}
        settled = settled_of(markov, canvas, after, fresh, written, done, generator)
        again = set(settled.positions[remasker.reopen(settled)].tolist())
        canvas = tuple(HOLE if place in again else token for place, token in enumerate(after))
        done += 1
    return canvas, done


def by_pattern(seed):
    """Streams of numbers that depend on the round and on where holes are, and not on what is written."""

    def streams(done, canvas, weight):
        pattern = sum(1 << place for place, token in enumerate(canvas) if token == HOLE)
        return [(seed * 1009 + done) * 1024 + pattern]

    return streams


def exact_law(markov, selector, remasker=None, *, streams=None, remembers=False):
    """The law of the texts that the rules make, and the mean number of rounds: all tokens that may be drawn in turn.

    Args:
        markov: the model.
        selector: must not read what is drawn.
        remasker: None: nothing is opened again.
        streams: the seeds of what the rules draw, given round, canvas and weight; each is as likely as the others.
        remembers: whether the re-masker reads how likely tokens were in earlier rounds. Otherwise these are left out,
            so that more canvases are the same.
    """
    streams, rules = streams or by_pattern(0), pickle.dumps((selector.opened(), remasker and remasker.opened()))
    law, rounds, done = Counter(), 0.0, 0
    states = {((HOLE,) * markov.length, (), rules): 1.0}
    while states:
        after = Counter()
        for (canvas, written, rules), weight in states.items():
            seeds = streams(done, canvas, weight)
            for seed in seeds:
                for state, chance in one_round(markov, canvas, dict(written), rules, done, seed):
                    after[state if remembers else (state[0], (), state[2])] += weight * chance / len(seeds)
        rounds += sum(states.values())
        done += 1
        for state in [state for state in after if HOLE not in state[0]]:
            law[state[0]] += after.pop(state)
        states = after
    return law, rounds


def one_round(markov, canvas, written, rules, done, seed):
    """What the canvas, the scores of what is written, and the rules are after a round, with each probability."""
    selector, _ = pickle.loads(rules)
    generator, chances = torch.Generator().manual_seed(seed), markov.predict(canvas)
    likeliest = chances.argmax(dim=-1)
    chosen = selector.select(sight_of(markov, canvas, likeliest, done, generator)).tolist()
    scores = dict(zip(holes_of(canvas), chances.tolist(), strict=True))
    for tokens, chance in fills(chances, chosen):
        after, fresh = filled(canvas, tokens, chosen)
        _, remasker = pickle.loads(rules)
        if remasker is None:
            yield (after, (), pickle.dumps((selector, None))), chance
            continue
        # Zero stands for what is not kept; then nothing reads it.
        kept = {place: written.get(place, 0.0) for place, token in enumerate(after) if token != HOLE}
        kept |= {place: scores[place][after[place]] for place in fresh}
        settled = settled_of(markov, canvas, after, fresh, kept, done, generator.manual_seed(seed + 1))
        again = set(settled.positions[remasker.reopen(settled)].tolist())
        opened = tuple(HOLE if place in again else token for place, token in enumerate(after))
        left = tuple((place, round(score, 9)) for place, score in kept.items() if place not in again)
        yield (opened, left, pickle.dumps((selector, remasker))), chance


def fills(law, chosen):
    """All tokens that may be drawn where it is chosen, each with its probability; elsewhere holes."""
    lines = [enumerate(line) if yes else [(HOLE, 1.0)] for line, yes in zip(law.exp().tolist(), chosen, strict=True)]
    for draw in itertools.product(*(list(line) for line in lines)):
        chance = 1.0
        for _, one in draw:
            chance *= one
        yield [token for token, _ in draw], chance


def chi_square(counts, expected):
    """The statistic and its degrees of freedom; outcomes of which fewer than five are expected are taken together."""
    total, statistic, cells, rest, rest_expected = sum(counts.values()), 0.0, 0, 0.0, 0.0
    assert set(counts) <= set(expected), "something came out that cannot"
    for outcome, chance in expected.items():
        if chance * total < 5:
            rest, rest_expected = rest + counts[outcome], rest_expected + chance * total
        else:
            statistic, cells = statistic + (counts[outcome] - chance * total) ** 2 / (chance * total), cells + 1
    if rest_expected > 0:
        statistic, cells = statistic + (rest - rest_expected) ** 2 / rest_expected, cells + 1
    return statistic, cells - 1


def assert_law(counts, expected):
    """By chi-square. Its mean is the degrees of freedom d, its deviation sqrt(2 d); four of these are passed by a right
    sampler with a probability below 1e-3, and seeds are fixed, so that it either always passes or never."""
    statistic, freedom = chi_square(counts, expected)
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5, f"chi-square {statistic:.1f} at {freedom} degrees of freedom"


def total_variation(law, markov):
    return sum(abs(law[text] - markov.law(text)) for text in markov.texts()) / 2

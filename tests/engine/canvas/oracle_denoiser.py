"""Hidden Markov models behind the seams of the loop, so that the loop itself can be held against plain ones."""

import torch

from tests.engine.canvas.hidden_markov import HOLE

FIRST = 40
"""Token 0 of a Markov model is token 40 of the loop's, and so on."""


def spread(law, vocab, ids=None):
    """Logits over the loop's tokens: of those that the Markov model does not have none can be drawn."""
    lines = torch.full((len(law), vocab), -torch.inf)
    lines[:, list(ids or range(FIRST, FIRST + law.shape[1]))] = law.float()
    return lines


class MarkovDenoiser:
    """A `Denoiser` that is never wrong; each prompt has a model of its own. `ids` are the loop's tokens of each."""

    def __init__(self, markovs, vocab, ids=None):
        self.markovs, self.vocab = markovs, vocab
        self.ids = list(ids or range(FIRST, FIRST + 3))
        self.rows, self.admitted, self.passes = {}, 0, 0

    def admit(self, prompt, size):
        assert size == self.markovs[prompt].length
        self.admitted += 1
        self.rows[self.admitted] = self.markovs[prompt]
        return self.admitted

    def without(self, prompt):
        return ()

    def free(self, row):
        del self.rows[row]

    def predict(self, asks):
        self.passes += 1
        return [self.answer(self.rows[ask.row], ask) for ask in asks]

    def answer(self, markov, ask):
        canvas = tuple(
            HOLE if place in ask.holes else self.ids.index(token) for place, token in enumerate(ask.tokens)
        )  # fmt: skip
        lines = [line_of(markov, canvas, place) for place in ask.wanted]
        for place in ask.doubted:
            assert canvas[place] != HOLE, "what is doubted is written"
            lines.append(line_of(markov, (*canvas[:place], HOLE, *canvas[place + 1 :]), place))
        return spread(torch.stack(lines), self.vocab, self.ids)


def line_of(markov, canvas, place):
    """Log-probabilities at a place given what is written: of what is written there, if anything is."""
    if canvas[place] != HOLE:
        return torch.nn.functional.one_hot(torch.tensor(canvas[place]), markov.vocab).double().log()
    return markov.predict(canvas)[sum(token == HOLE for token in canvas[:place])]


class MarkovGuide:
    """A `Guide` whose law of a token is that of a Markov model, given those before it."""

    def __init__(self, markov, vocab, prompt=1):
        self.markov, self.vocab, self.prompt = markov, vocab, prompt
        self.known, self.passes = set(), 0

    def answer(self, questions):
        self.passes += 1
        self.known |= {one.row for one in questions}
        return [
            spread(
                torch.stack(
                    [
                        after(self.markov, [token - FIRST for token in one.text[self.prompt : place]])
                        for place in one.wanted
                    ]
                ),
                self.vocab,
            )
            for one in questions
        ]

    def forget(self, row):
        self.known.discard(row)


def after(markov, written):
    """Log-probabilities of the token behind some."""
    return markov.predict((*written, *[HOLE] * (markov.length - len(written))))[0]

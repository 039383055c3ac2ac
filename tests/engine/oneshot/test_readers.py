"""Decoders as rows of the loop, against enumeration of all that a window can say under the weights."""

import itertools
import math
from functools import partial

import pytest
import torch

from ptgflow.contracts.settings import Sampling
from ptgflow.engine.oneshot.ctc import collapse
from ptgflow.engine.oneshot.dag import beam_search, greedy, joint_viterbi, lookahead, viterbi
from ptgflow.engine.oneshot.network import LINK_HEADS, LINK_SIZE
from ptgflow.engine.oneshot.reading.crf import CrfReader
from ptgflow.engine.oneshot.reading.ctc import CtcReader
from ptgflow.engine.oneshot.reading.dag import DagReader
from tests.engine.oneshot.trained import (
    END,
    ENDS,
    MODEL,
    OUTPUT,
    PLACES,
    cut_at_end,
    heads_for,
    own_scores,
    prompt_of,
    states_of,
    windows_for,
    written,
)

TOKENS = (50, 60, 70, END)
"""The others are so unlikely that nothing is lost by leaving them out."""
SAMPLING = Sampling(logit_bias=tuple((token, -100.0) for token in range(MODEL.vocab_size) if token not in TOKENS))
PROMPTS = [prompt_of(seed) for seed in range(20, 26)]
BLANK = -1


def seen(decoder, prompt, told=None):
    """Tensors, states and the logits of the few tokens, of which the first place's are the model's own."""
    heads = heads_for(decoder)
    states, _ = states_of(None, heads, prompt, told)
    return heads.tensors, states, states @ OUTPUT[list(TOKENS)].T


def all_texts(reader, decoder, **more):
    return written(windows_for(decoder), reader, PROMPTS, sampling=SAMPLING, **more)


def labels_of(prompt):
    """Log-probabilities of the tokens, and last of the blank."""
    tensors, states, logits = seen("ctc", prompt)
    blank = states @ tensors["blank.weight"][0] + tensors["blank.bias"][0]
    blank[0] = -torch.inf
    law = torch.cat((logits, blank[:, None]), dim=1).log_softmax(dim=-1)
    return [dict(zip((*TOKENS, BLANK), line, strict=True)) for line in law.tolist()]


def alignments(prompt):
    law = labels_of(prompt)
    for path in itertools.product((*TOKENS, BLANK), repeat=PLACES):
        yield path, sum(law[place][label] for place, label in enumerate(path))


def test_ctc_writes_the_text_of_the_likeliest_alignment():
    windows = windows_for("ctc")
    for prompt, found in zip(PROMPTS, all_texts(CtcReader(windows.heads, END), "ctc"), strict=True):
        best, _ = max(alignments(prompt), key=lambda pair: pair[1])
        assert found.token_ids == cut_at_end(collapse(best, BLANK))
        assert found.finish_reason == "stop"
        law, surest = labels_of(prompt), []
        for label, places in itertools.groupby(range(PLACES), key=best.__getitem__):
            if label != BLANK:
                surest.append(max(law[place][label] for place in places))
        assert found.scores == pytest.approx(surest[: len(found.token_ids)], abs=1e-4)


def test_a_beam_writes_the_likeliest_text_over_all_alignments():
    windows, different = windows_for("ctc"), 0
    texts = all_texts(CtcReader(windows.heads, END, width=300), "ctc")
    for prompt, found in zip(PROMPTS, texts, strict=True):
        masses = {}
        for path, score in alignments(prompt):
            text = collapse(path, BLANK)
            masses[text] = masses.get(text, 0.0) + math.exp(score)
        best = max(masses, key=masses.get)
        assert found.token_ids == cut_at_end(best)
        different += best != collapse(max(alignments(prompt), key=lambda pair: pair[1])[0], BLANK)
    assert different, "the likeliest alignment is not always one of the likeliest text"


def links_of(prompt):
    """P(v | u) from the weights, one pair at a time."""
    tensors, states, _ = seen("dag", prompt)

    def made(name, at):
        value = tensors[f"links.{name}.weight"] @ states[at] + tensors[f"links.{name}.bias"]
        return value + tensors[f"links.{name}_places"][at] if name != "gate" else value

    links = torch.full((PLACES, PLACES), -torch.inf)
    for begin in range(PLACES - 1):
        gates = made("gate", begin).softmax(dim=0)
        query = made("query", begin).view(LINK_HEADS, LINK_SIZE)
        later = range(begin + 1, PLACES)
        keys = torch.stack([made("key", at).view(LINK_HEADS, LINK_SIZE) for at in later])
        each = (query * keys).sum(dim=-1) / math.sqrt(LINK_SIZE)
        links[begin, begin + 1 :] = (each.softmax(dim=0) * gates).sum(dim=1).log()
    return links


def graph_of(prompt):
    _, _, logits = seen("dag", prompt)
    return links_of(prompt), logits.log_softmax(dim=-1)


def paths(links):
    for count in range(PLACES - 1):
        for inner in itertools.combinations(range(1, PLACES - 1), count):
            path = (0, *inner, PLACES - 1)
            yield path, sum(float(links[a, b]) for a, b in itertools.pairwise(path))


def along(path, law):
    return cut_at_end(TOKENS[int(law[vertex].argmax())] for vertex in path)


def stepped(links, law, beta):
    path = [0]
    while path[-1] < PLACES - 1:
        scores = links[path[-1]] + beta * law.max(dim=-1).values
        path.append(max(range(path[-1] + 1, PLACES), key=lambda vertex, scores=scores: float(scores[vertex])))
    return path


SEARCHES = {
    "greedy": (greedy, lambda links, law: stepped(links, law, 0.0)),
    "lookahead": (partial(lookahead, beta=0.7), lambda links, law: stepped(links, law, 0.7)),
    "viterbi": (
        partial(viterbi, beta=1.2, uncounted=1),
        lambda links, law: max(paths(links), key=lambda pair: pair[1] / (len(pair[0]) - 1) ** 1.2)[0],
    ),
    "joint_viterbi": (
        partial(joint_viterbi, beta=1.2, uncounted=1),
        lambda links, law: max(
            paths(links),
            key=lambda pair: (pair[1] + sum(float(law[at].max()) for at in pair[0])) / (len(pair[0]) - 1) ** 1.2,
        )[0],
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_graph_is_followed_along_the_best_path(name):
    search, by_definition = SEARCHES[name]
    reader = DagReader(windows_for("dag").heads, search)
    for prompt, found in zip(PROMPTS, all_texts(reader, "dag"), strict=True):
        links, law = graph_of(prompt)
        path = by_definition(links, law)
        assert found.token_ids == along(path, law)
        own = [float(law[vertex].max()) for vertex in path]
        assert found.scores == pytest.approx(own[: len(found.token_ids)], abs=1e-4)


def texts_of_graph(prompt, banned):
    _, _, logits = seen("dag", prompt)
    logits[:, TOKENS.index(banned)] -= 100.0
    links, law = links_of(prompt), logits.log_softmax(dim=-1)
    found = {}
    for path, score in paths(links):
        for chosen in itertools.product(range(len(TOKENS)), repeat=len(path)):
            text = tuple(TOKENS[one] for one in chosen)
            mass = math.exp(score + sum(float(law[at, one]) for at, one in zip(path, chosen, strict=True)))
            found[text] = found.get(text, 0.0) + mass
    return found


def test_a_beam_writes_the_likeliest_text_over_all_paths():
    # Of few tokens, so that all texts of them can be followed, and of the others some.
    banned, few = TOKENS[0], len(TOKENS) - 1
    sampling = Sampling(logit_bias=(*SAMPLING.logit_bias, (banned, -100.0)))
    search = partial(beam_search, width=300, same_length=None, candidates=few * PLACES, top_p=None, alpha=1.1)
    reader = DagReader(windows_for("dag").heads, search)
    texts = written(windows_for("dag"), reader, PROMPTS[:3], sampling=sampling)
    for prompt, found in zip(PROMPTS, texts, strict=False):
        masses = texts_of_graph(prompt, banned)
        best = max(masses, key=lambda text: math.log(masses[text]) / len(text) ** 1.1)
        assert found.token_ids == cut_at_end(best)


def test_the_model_itself_chooses_among_texts_of_a_beam():
    windows, different = windows_for("ctc"), 0
    reader = CtcReader(windows.heads, END, width=300)
    plain = all_texts(reader, "ctc")
    for prompt, first, found in zip(PROMPTS, plain, all_texts(reader, "ctc", rescored=5), strict=True):
        masses = {}
        for path, score in alignments(prompt):
            text = collapse(path, BLANK)
            masses[text] = masses.get(text, 0.0) + math.exp(score)
        ranked = dict.fromkeys(cut_at_end(text) for text in sorted(masses, key=lambda text: -masses[text]))
        few = list(ranked)[:5]
        best = max(few, key=lambda text: sum(own_scores(prompt, text, ENDS)) / (len(text) + 1))
        assert found.token_ids == best
        different += found.token_ids != first.token_ids
    assert different, "it does not always choose the first"


def chain_of(prompt, told=None):
    """What each token says of its place, and each pair of tokens of the step between theirs."""
    tensors, states, logits = seen("crf", prompt, told)
    first, second = (tensors[f"transitions.{name}"][list(TOKENS)] for name in ("first", "second"))
    steps = []
    for place in range(1, PLACES):
        pair = torch.cat((states[place - 1], states[place]))
        inner = torch.relu(tensors["transitions.inner.weight"] @ pair + tensors["transitions.inner.bias"])
        dynamic = tensors["transitions.outer.weight"] @ inner + tensors["transitions.outer.bias"]
        rank = math.isqrt(len(dynamic))
        steps.append((first @ (dynamic.view(rank, rank) + torch.eye(rank)) @ second.T).tolist())
    return logits.tolist(), steps


def chain_score(chain, text):
    own, steps = chain
    places = sum(own[place][token] for place, token in enumerate(text))
    return places + sum(steps[at][a][b] for at, (a, b) in enumerate(itertools.pairwise(text)))


@pytest.mark.parametrize("told", [None, 3])
def test_a_chain_writes_the_best_text_with_what_neighbours_say(told):
    windows, different = windows_for("crf"), 0
    reader = CrfReader(windows.heads, END, width=4)
    prompts = PROMPTS[:3] if told is None else PROMPTS
    if told is not None:
        with torch.no_grad():
            windows.heads.length.weight.zero_()
            windows.heads.length.bias.copy_(torch.eye(PLACES + 1)[told])
    texts = written(windows, reader, prompts, sampling=SAMPLING, lengths=0 if told is None else 1)
    for prompt, found in zip(prompts, texts, strict=True):
        chain = chain_of(prompt, told)
        tried = itertools.product(range(len(TOKENS)), repeat=told or PLACES)
        best = max(tried, key=lambda text, chain=chain: chain_score(chain, text))
        assert found.token_ids == cut_at_end(TOKENS[one] for one in best)
        different += best != tuple(max(range(len(TOKENS)), key=line.__getitem__) for line in chain[0][: len(best)])
    assert different, "neighbours have a say"

"""Texts as one tree, in which a model that reads them in order says how likely it finds each."""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.rescoring import best_candidates
from ptgflow.engine.trees import TokenTree


def joined(texts: Sequence[tuple[int, ...]]) -> tuple[TokenTree, tuple[tuple[int, ...], ...]]:
    """One tree of all texts, where what several begin with is there once; and the nodes of each."""
    tokens: list[int] = []
    parents: list[int] = []
    places: dict[tuple[int, int], int] = {}
    paths: list[tuple[int, ...]] = []
    for text in texts:
        path: list[int] = []
        for token in text:
            key = (path[-1] if path else -1, token)
            if key not in places:
                places[key] = len(tokens)
                tokens.append(token)
                parents.append(key[0])
            path.append(places[key])
        paths.append(tuple(path))
    return TokenTree(tuple(tokens), tuple(parents)), tuple(paths)


def likeliest_text(
    logits: Float[Tensor, "lines vocab"],
    tree: TokenTree,
    paths: Sequence[tuple[int, ...]],
    *,
    ended: Sequence[bool],
    endings: Collection[int],
) -> tuple[int, tuple[float, ...]]:
    """The text that is likeliest for each of its tokens, its end counted as one; and the log-probabilities of tokens.

    Args:
        logits: after what stands before all texts, and then after each node.
        tree: of the texts.
        paths: the nodes of each text.
        ended: which texts end there; the others were cut.
        endings: tokens of which any ends a text.
    """
    law = logits.log_softmax(dim=-1)
    own = torch.tensor([0, *tree.tokens], device=law.device)
    before = torch.tensor([0, *(parent + 1 for parent in tree.parents)], device=law.device)
    # Line 0 is no token's: it stands for what is behind the end of a text, and is not read.
    scores = law[before].gather(1, own[:, None])[:, 0]
    ends = law[:, sorted(endings)].logsumexp(dim=-1)
    longest = 1 + max(map(len, paths))
    filled = scores.new_zeros(1, len(paths), longest)
    for row, path in enumerate(paths):
        nodes = [node + 1 for node in path]
        filled[0, row, : len(path) + 1] = torch.cat((scores[nodes], ends[nodes[-1:] or [0]]))
    lengths = torch.tensor([[len(path) + end for path, end in zip(paths, ended, strict=True)]], device=law.device)
    best = int(best_candidates(filled, lengths)[0])
    return best, tuple(filled[0, best, : len(paths[best])].tolist())

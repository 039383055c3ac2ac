"""Answers that a model under training writes itself: it learns where its own words lead it, not only the target's."""

from collections.abc import Collection, Sequence

import torch
from transformers import PreTrainedModel


@torch.no_grad()
def sampled(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    end_ids: Collection[int],
    generator: torch.Generator,
) -> list[list[int]]:
    """Draw an answer to each prompt at temperature 1, token by token, from what the network is now.

    Args:
        network: a causal model.
        prompts: their tokens, none empty.
        max_tokens: most tokens of an answer.
        end_ids: tokens that end one; the first is a part of it.
        generator: where chance comes from, on the processor: the same on every device.
    """
    device, longest = network.device, max(map(len, prompts))
    # Padded on the left, so that all rows go on at one place.
    ids = torch.tensor([[0] * (longest - len(one)) + list(one) for one in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=device)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    answers: list[list[int]] = [[] for _ in prompts]
    going = [True] * len(prompts)
    past = None
    for _ in range(max_tokens):
        out = network(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, logits_to_keep=1
        )
        past = out.past_key_values
        chances = out.logits[:, -1].float().softmax(dim=-1).cpu()
        drawn: list[int] = torch.multinomial(chances, 1, generator=generator)[:, 0].tolist()
        for row, token in enumerate(drawn):
            if going[row]:
                answers[row].append(token)
                going[row] = token not in end_ids
        if not any(going):
            break
        ids = torch.tensor(drawn, device=device)[:, None]
        mask = torch.cat((mask, torch.ones_like(ids)), dim=1)
        positions = positions[:, -1:] + 1
    return answers

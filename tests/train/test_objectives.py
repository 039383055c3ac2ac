"""The losses of heads, against their definitions written out position by position."""

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import load_model
from ptgflow.train.batches import Batch
from ptgflow.train.job import teacher_of
from ptgflow.train.objectives.blockwise import BlockwiseObjective
from ptgflow.train.objectives.gated_lora import GatedLoraObjective
from ptgflow.train.objectives.gating import visible_to_masks
from ptgflow.train.objectives.hydra import HydraObjective
from ptgflow.train.objectives.medusa import MedusaObjective
from tests.engine.heads_of_tiny import VOCABULARY, config_of, gated_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
TEACHER = teacher_of(MODEL, VOCABULARY)
STARTS = (3, 6)
LENGTHS = (14, 11)


def batch(step=0):
    """Two texts whose answers start somewhere; every fourth token cannot be drafted."""
    generator = torch.Generator().manual_seed(1)
    tokens = VOCABULARY[torch.randint(len(VOCABULARY), (2, max(LENGTHS)), generator=generator)]
    tokens[:, ::4] += 1
    answers = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
        answers[row, start:length] = True
    states = torch.randn(*tokens.shape, 2 * MODEL.hidden_size, generator=generator)
    return Batch(tokens=tokens, states=states, answers=answers, step=step)


def learnt(given, ahead):
    """Row and position of all that is learnt so many steps ahead: the next token is the answer's, as the wanted one."""
    for row, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
        for at in range(start - 1, length - ahead):
            if int(given.tokens[row, at + ahead]) in VOCABULARY.tolist():
                yield row, at


def law_of(state):
    return (MODEL.output_rows(VOCABULARY) @ state).softmax(dim=-1)


def trained(objective):
    """With weights that foresee something else than the target's own head does."""
    torch.manual_seed(2)
    for weight in objective.network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return objective


@pytest.mark.parametrize("own_output", [True, False])
def test_hydra_learns_the_law_of_the_target_given_the_true_tokens(own_output):
    objective = trained(HydraObjective(config_of("hydra", MODEL, own_output=own_output), TEACHER))
    net, given = objective.network, batch()
    states = given.states[..., -MODEL.hidden_size :]
    losses = []
    with torch.no_grad():
        for head in range(3):
            own = []
            for row, at in learnt(given, 2 + head):
                tokens = given.tokens[row, at + 1 : at + 2 + head]
                x = net.hydra_mlp[head](torch.cat([states[row, at], MODEL.embed(tokens).flatten()]))
                logits = net.hydra_lm_head[head](x) if own_output else TEACHER.output @ x
                own.append(-(law_of(states[row, at + 1 + head]) * logits.log_softmax(-1)).sum())
            losses.append(torch.stack(own).mean())
    found = objective.loss(given)
    assert float(found.value.detach()) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-5)
    assert len(found.hits) == 3
    assert found.tokens == sum(LENGTHS) - sum(STARTS)


def blockwise(sub_loss):
    return trained(BlockwiseObjective(config_of("blockwise", MODEL), TEACHER, sub_loss=sub_loss, seed=3))


def blockwise_losses():
    net, given = blockwise("mean").network, batch()
    losses = []
    with torch.no_grad():
        for number in range(3):
            own = []
            for row, at in learnt(given, 2 + number):
                logits = TEACHER.output @ net(given.states[row, at, -MODEL.hidden_size :])[number]
                wanted = VOCABULARY.tolist().index(int(given.tokens[row, at + 2 + number]))
                own.append(-logits.log_softmax(-1)[wanted])
            losses.append(float(torch.stack(own).mean()))
    return losses


def test_blockwise_learns_all_positions_alike():
    assert float(blockwise("mean").loss(batch()).value.detach()) == pytest.approx(sum(blockwise_losses()) / 3, rel=1e-5)


def test_a_random_sub_loss_is_that_of_one_position_and_each_has_its_turn():
    objective, losses = blockwise("random"), blockwise_losses()
    counts = [0, 0, 0]
    for step in range(300):
        value = float(objective.loss(batch(step)).value.detach())
        nearest = min(range(3), key=lambda at: abs(losses[at] - value))
        assert value == pytest.approx(losses[nearest], rel=1e-5)
        counts[nearest] += 1
    # 100 of each are expected; a standard deviation is about 8.
    assert all(60 < count < 140 for count in counts)
    assert torch.equal(objective.loss(batch(7)).value, objective.loss(batch(7)).value)


def test_a_random_sub_loss_has_the_gradient_of_its_position_alone():
    objective = blockwise("random")
    torch.autograd.backward(objective.loss(batch(5)).value)
    size = MODEL.hidden_size
    moved = objective.network.outer.weight.grad.view(3, size, -1).abs().amax(dim=(1, 2)) > 0
    assert int(moved.sum()) == 1


def test_medusa_weighs_what_is_further_ahead_less():
    objective = trained(MedusaObjective(config_of("medusa", MODEL, own_output=False), TEACHER))
    given = batch()
    total = weights = 0.0
    with torch.no_grad():
        for number, head in enumerate(objective.network):
            own = []
            for row, at in learnt(given, 2 + number):
                logits = TEACHER.output @ head(given.states[row, at, -MODEL.hidden_size :])
                own.append(-logits.log_softmax(-1)[VOCABULARY.tolist().index(int(given.tokens[row, at + 2 + number]))])
            total += 0.8**number * float(torch.stack(own).mean())
            weights += 0.8**number
    assert float(objective.loss(given).value.detach()) == pytest.approx(total / weights, rel=1e-5)


def gated_lora(anchors=None):
    return trained(GatedLoraObjective(config_of("gated_lora", MODEL), TEACHER, anchors=anchors, seed=3))


def test_gated_lora_learns_the_tokens_by_itself_and_by_its_sampler_and_the_states_of_the_target():
    """Each mask of each position, in a sequence of its own with the text up to there."""
    objective, given = gated_lora(), batch()
    net, parts = objective.network, {}
    load = Heads(objective.config, {name: one.detach() for name, one in net.state_dict().items()}, VOCABULARY)
    with torch.no_grad():
        for row, at in learnt(given, 2):
            parts[row, at] = gated_states(load, given.tokens[row, : at + 1].tolist())
        total = 0.0
        for mask in range(3):
            own = []
            for row, at in learnt(given, 2 + mask):
                if (row, at) not in parts:
                    parts[row, at] = gated_states(load, given.tokens[row, : at + 1].tolist())
                state = parts[row, at][mask]
                wanted = VOCABULARY.tolist().index(int(given.tokens[row, at + 2 + mask]))
                sampled = net.sampler(torch.cat((MODEL.embed(given.tokens[row, at + 1 + mask]), state)))
                both = sum(-(TEACHER.output @ one).log_softmax(-1)[wanted] for one in (state, sampled))
                goal = given.states[row, at + 1 + mask, -MODEL.hidden_size :]
                own.append(both + (state - goal).square().mean())
            total += float(torch.stack(own).mean()) / 3
    found = objective.loss(given)
    assert float(found.value.detach()) == pytest.approx(total, rel=1e-4)
    assert len(found.hits) == 3


def test_gated_lora_trains_its_own_weights_and_not_the_target():
    objective = gated_lora()
    torch.autograd.backward(objective.loss(batch()).value)
    assert all(float(one.grad.abs().max()) > 0 for one in objective.network.parameters())
    assert not any(one.requires_grad for one in objective._target._decoder.parameters())


def test_a_draw_of_positions_is_of_those_to_be_learnt_from_and_follows_from_the_step():
    objective = gated_lora(anchors=4)
    draws = []
    for step in (0, 1, 0):
        anchors, valid = objective._drawn(batch(step))
        assert anchors.shape == valid.shape == (2, 4)
        for row, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
            able = set(range(start - 1, length - 2))
            found = [at for at, is_valid in zip(anchors[row].tolist(), valid[row].tolist(), strict=True) if is_valid]
            assert len(set(found)) == len(found) == min(4, len(able))
            assert set(found) <= able
        draws.append(anchors.tolist())
    assert draws[0] == draws[2] != draws[1]


@pytest.mark.parametrize("window", [None, 3, 5])
def test_masks_see_the_text_up_to_their_anchor_and_the_masks_before_them(window):
    anchors, count, length = [[0, 3, 6], [2, 3, 4]], 2, 8
    found = visible_to_masks(torch.tensor(anchors), count, length, window)
    for row, places in enumerate(anchors):
        for query in range(len(places) * count):
            anchor, number = places[query // count], query % count
            position = anchor + 1 + number
            for key in range(length + len(places) * count):
                if key < length:
                    at, sees = key, key <= anchor
                else:
                    block, other = divmod(key - length, count)
                    at, sees = places[block] + 1 + other, block == query // count and other <= number
                near = window is None or at > position - window
                assert bool(found[row, query, key]) == (sees and near)

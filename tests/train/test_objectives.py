"""The losses of heads, against their definitions written out position by position."""

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.train.batches import Batch
from ptgflow.train.job import teacher_of
from ptgflow.train.objectives.blockwise import BlockwiseObjective
from ptgflow.train.objectives.hydra import HydraObjective
from ptgflow.train.objectives.medusa import MedusaObjective
from tests.engine.heads_of_tiny import VOCABULARY, config_of

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

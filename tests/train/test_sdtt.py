"""Self-distillation through time: the targets against a plain teacher, and what a student learns."""

import json

import pytest
import torch

from ptgflow.cli.main import main
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.train.objectives.divergences import forward_kl, reverse_kl
from ptgflow.train.objectives.sdtt import SdttObjective
from ptgflow.train.objectives.windows import drawn_windows
from tests.engine.heads_of_tiny import config_of, net_of, window_states
from tests.train.test_mdm import LENGTH, MODEL, TEACHER, batch, cache, data, options

__all__ = ["cache", "data"]


def heads():
    config = config_of("masked", MODEL)
    return Heads(config, {name: one.detach() for name, one in net_of(config).state_dict().items()}, torch.arange(1))


def objective(steps=2, grid=4, apart=forward_kl):
    return SdttObjective(heads(), TEACHER, steps=steps, grid=grid, apart=apart, anchors=3, seed=5)


def drawn_of(made, given, generator):
    return drawn_windows(
        given, MODEL.codec.eos_ids, length=LENGTH, anchors=3, noise=(made._steps / made._grid, 1.0), generator=generator
    )


def test_the_teacher_takes_its_steps_and_leaves_its_last_thought_of_each_hole():
    """A teacher written out plainly, window by window, with the same draws."""
    made, given = objective(steps=3, grid=4), batch()
    generator = torch.Generator().manual_seed(7)
    drawn = drawn_of(made, given, generator)
    state = generator.get_state()
    found = made._targets(made._target.read(given.tokens), drawn, generator)
    again = torch.Generator()
    again.set_state(state)
    tokens, holes, left = drawn.tokens.clone(), drawn.holes.clone(), drawn.share.clone()
    wanted = torch.zeros_like(found)
    for _ in range(3):
        laws = torch.zeros(*tokens.shape, MODEL.vocab_size)
        for row in range(2):
            for at, anchor in enumerate(drawn.anchors[row].tolist()):
                text = given.tokens[row, : anchor + 1].tolist()
                window = [
                    None if hole else token
                    for hole, token in zip(holes[row, at].tolist(), tokens[row, at].tolist(), strict=True)
                ]
                states = window_states(heads(), text, window[:-1])
                # The place before the window is read without adapters.
                laws[row, at] = (states[anchor:] @ TEACHER.output.T).log_softmax(dim=-1)
        wanted[holes[..., 1:]] = laws[..., 1:, :][holes[..., 1:]]
        after = (left - 0.25).clamp(min=0.0)
        filled = holes & (torch.rand(holes.shape, generator=again) < (left - after) / left)
        if bool(filled.any()):
            tokens[filled] = torch.multinomial(laws[filled].exp(), 1, generator=again)[:, 0]
        holes, left = holes & ~filled, after
        if not bool(holes.any()):
            break
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_student_that_is_its_teacher_is_apart_from_it_only_where_the_teacher_saw_more():
    given = batch()
    made = objective(steps=2, grid=2)
    first = float(made.loss(given).value.detach())
    assert first > 0.0
    # With one place a step that is filled in the first step alone there is nothing that the student does not see.
    made._steps = 1
    assert float(made.loss(given).value.detach()) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("apart", [forward_kl, reverse_kl])
def test_the_student_learns_what_its_teacher_says_in_more_steps(apart):
    made, given = objective(apart=apart), batch()
    optimiser = torch.optim.Adam(made.network.parameters(), lr=0.003)
    elder = {name: one.clone() for name, one in made._elder.state_dict().items()}
    losses = []
    for _ in range(50):
        loss = made.loss(given).value
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(one, elder[name]) for name, one in made._elder.state_dict().items())


def test_the_command(data, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(options(data, first)) == 0
    words = [one for one in options(data, second) if not one.startswith(("objective", "block_length", "rank"))]
    assert main([*words, "objective=sdtt", f"start={first}", "steps=2", "grid=6", "epochs=1"]) == 0
    out = capsys.readouterr().out
    assert "Masked diffusion in fewer steps for tiny" in out
    card = json.loads((second / "card.json").read_text())
    assert card["masked"]["steps"] == 2
    assert card["start"]["tokens_learnt_from"] > 0
    run = ["run", "recipe=masked", "model=tiny", f"stages.fill.weights={second}", "max_tokens=9", "prompt=Hello."]
    assert main(run) == 0
    for more, said in (
        (["steps=9", "grid=6"], "at most 6"),
        (["beta=0.3"], "divergence=jsd"),
        ([f"start={tmp_path / 'nothing'}"], "nothing"),
    ):
        capsys.readouterr()
        assert main([*words, "objective=sdtt", f"start={first}", *more]) == 2
        assert said in capsys.readouterr().err

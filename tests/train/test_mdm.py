"""Adaptation to masked diffusion: the loss against its definition window by window, and the run."""

import json

import pytest
import torch

from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.train.batches import Batch
from ptgflow.train.job import teacher_of
from ptgflow.train.objectives.mdm import MdmObjective
from tests.engine.heads_of_tiny import config_of, window_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
TEACHER = teacher_of(MODEL, torch.arange(MODEL.vocab_size))
END = min(MODEL.codec.eos_ids)
LENGTH = 6


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Tell me about {one}."}) + "\n" for one in range(14)))
    return path


def batch(step=0):
    """An answer that was cut, and one that the base ended itself."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, 200, (2, 14), generator=generator)
    tokens[1, 10] = END
    tokens[1, 11:] = 0
    answers = torch.zeros(tokens.shape, dtype=torch.bool)
    answers[0, 4:], answers[1, 3:11] = True, True
    return Batch(tokens=tokens, states=torch.zeros(2, 14, 0), answers=answers, step=step)


def objective(noise=(0.5, 1.0), anchors=4):
    torch.manual_seed(2)
    made = MdmObjective(config_of("masked", MODEL), TEACHER, anchors=anchors, noise=noise, seed=3)
    for weight in made.network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return made


def test_with_all_masked_the_loss_is_the_mean_of_what_each_window_foresees():
    made, given = objective(noise=(1.0, 1.0), anchors=20), batch()
    heads = Heads(made.config, {name: one.detach() for name, one in made.network.state_dict().items()}, torch.arange(1))
    total, windows = 0.0, 0
    for row, (start, end, ended) in enumerate([(4, 14, False), (3, 11, True)]):
        text = given.tokens[row].tolist()
        for anchor in range(start - 1, end - 1):
            windows += 1
            states = window_states(heads, text[: anchor + 1], [None] * (LENGTH - 1))[anchor + 1 :]
            for ahead in range(2, LENGTH + 1):
                place = anchor + ahead
                if place < end or ended:
                    truth = text[place] if place < end else END
                    law = (TEACHER.output @ states[ahead - 2]).log_softmax(dim=-1)
                    total -= float(law[truth])
    found = made.loss(given)
    assert float(found.value.detach()) == pytest.approx(total / (windows * (LENGTH - 1)), rel=1e-4)


def test_what_is_drawn_follows_from_the_step_alone():
    losses = [float(objective().loss(batch(step)).value.detach()) for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


def test_adapters_and_the_mask_learn_and_the_target_does_not():
    made = objective()
    torch.autograd.backward(made.loss(batch()).value)
    assert all(float(one.grad.abs().max()) > 0 for one in made.network.parameters())
    assert not any(one.requires_grad for one in made._target._decoder.parameters())


def options(data, folder, *more):
    return [
        "train", "objective=mdm", "model=tiny", f"data={data}", f"output={folder}", "held_out=2", "max_tokens=24",
        "batch_size=4", "block_length=6", "rank=4", "precision=float32", *more,
    ]  # fmt: skip


def test_the_command_writes_adapters_that_fill_canvases(data, tmp_path, capsys):
    folder = tmp_path / "adapters"
    assert main(options(data, folder, "epochs=6", "rate=0.01")) == 0
    out = capsys.readouterr().out
    assert "Masked diffusion for tiny" in out
    card = json.loads((folder / "card.json").read_text())
    assert card["last_loss"] < card["first_loss"]
    assert card["masked"] == {"rank": 4, "block_length": 6, "anchors": 6, "noise": [0.3, 1.0]}
    heads = load_heads(folder, MODEL, kind="masked")
    assert heads.config.block_length == 6
    run = ["run", "recipe=masked", "model=tiny", f"stages.fill.weights={folder}", "max_tokens=9", "prompt=Hello."]
    assert main(run) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("noise=[0.5,0.2]", "two shares above 0"),
        ("noise=[0,1]", "two shares above 0"),
        ("block_length=1", "block_length"),
        ("rank=0", "rank"),
    ],
)
def test_mistakes_are_told(more, words, data, tmp_path, capsys):
    assert main([*options(data, tmp_path / "out"), more]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_goes_on_from_adapters(data, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(options(data, first, "epochs=6", "rate=0.01")) == 0
    assert main(options(data, second, "epochs=1", "rate=1e-9", f"start={first}")) == 0
    card, before = (json.loads((one / "card.json").read_text()) for one in (second, first))
    assert card["start"]["tokens_learnt_from"] == before["tokens_learnt_from"]
    one, other = (load_heads(folder, MODEL, kind="masked").tensors for folder in (first, second))
    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-6), name
    capsys.readouterr()
    assert main([*options(data, tmp_path / "x", f"start={first}"), "rank=5"]) == 2
    assert "rank" in capsys.readouterr().err

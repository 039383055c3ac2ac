"""Training of one-shot generation: the loss against its definition window by window, and the run."""

import itertools
import json
import math

import pytest
import torch

from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.oneshot.ctc import collapse
from ptgflow.engine.oneshot.network import TOLD, OneShotHeads
from ptgflow.train.answers import answers_of
from ptgflow.train.batches import Batch
from ptgflow.train.job import teacher_of
from ptgflow.train.objectives.oneshot import OneShotObjective
from ptgflow.train.objectives.oneshot_losses.decoders import DECODERS
from ptgflow.train.objectives.oneshot_losses.windows import WindowBatch
from ptgflow.train.prompts import TrainingPrompt, read_prompts
from tests.engine.heads_of_tiny import config_of, window_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
TEACHER = teacher_of(MODEL, torch.arange(MODEL.vocab_size))
END = MODEL.codec.end_id
PLACES = 6


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "prompts.jsonl"
    rows = [{"prompt": f"Tell me about {one}.", "prefix": f"{one}:", "stop": " "} for one in range(14)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def batch(step=0):
    """An answer that ended at a stop string, one that the base ended itself, and one that fills the window."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, 200, (3, 14), generator=generator)
    tokens[1, 10] = END
    answers = torch.zeros(tokens.shape, dtype=torch.bool)
    answers[0, 4:6], answers[1, 8:11], answers[2, 5 : 5 + PLACES] = True, True, True
    tokens[~answers & (answers.cumsum(1) > 0)] = 0
    return Batch(tokens=tokens, states=torch.zeros(3, 14, 0), answers=answers, step=step)


LENGTHS = (2, 2, PLACES)


def objective(told=0.5, weight=0.3, kept=None, **more):
    torch.manual_seed(2)
    config = config_of("oneshot", MODEL, **more)
    made = OneShotObjective(config, TEACHER, told_lengths=told, length_weight=weight, seed=3, kept=kept)
    for parameter in made.network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def by_definition(made, given, told, weight=0.3):
    """Window by window: masks behind the prompt, or up to the end of the answer, which is told."""
    heads = Heads(made.config, {name: one.detach() for name, one in made.network.state_dict().items()}, torch.arange(1))
    tokens, lengths = [], []
    for row, length in enumerate(LENGTHS):
        start = int(given.answers[row].int().argmax())
        text = given.tokens[row].tolist()
        window = [None if place < length or not told[row] else END for place in range(PLACES - 1)]
        states = window_states(heads, text[:start], window)[start:]
        for place in range(1, length if told[row] else PLACES):
            truth = text[start + place] if place < length else END
            tokens.append(-float((TEACHER.output @ states[place - 1]).log_softmax(dim=-1)[truth]))
        if not told[row]:
            head = heads.tensors
            logits = head["length.weight"] @ states.mean(dim=0) + head["length.bias"]
            lengths.append(-float(logits.log_softmax(dim=-1)[length]))
    value = sum(tokens) / len(tokens)
    return value + (weight * sum(lengths) / len(lengths) if lengths else 0.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_loss_is_the_mean_of_what_the_places_of_windows_foresee(share):
    made, given = objective(share), batch()
    found = made.loss(given)
    assert float(found.value.detach()) == pytest.approx(by_definition(made, given, [share == 1.0] * 3), rel=1e-4)


def test_some_windows_are_told_their_length():
    made, seen = objective(0.5), set()
    for step in range(12):
        found = float(made.loss(batch(step)).value.detach())
        drawn = torch.rand(3, generator=torch.Generator().manual_seed((3 << 32) + step)) < 0.5
        seen.add(tuple(drawn.tolist()))
        assert found == pytest.approx(by_definition(made, batch(step), drawn.tolist()), rel=1e-4)
    assert len(seen) > 3


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("decoder", ["argmax", "dag"])
def test_prompts_that_are_kept_give_the_same_losses(decoder, mixed, tmp_path):
    losses = {}
    for kept in (None, tmp_path):
        made = objective(told=0.5 if decoder in TOLD else 0.0, decoder=decoder, block_length=PLACES + 2, kept=kept)
        # All of them, some of which are known, and in another order.
        some = batch(1)
        few = Batch(tokens=some.tokens[[2, 0]], states=some.states[[2, 0]], answers=some.answers[[2, 0]], step=2)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses[kept] = [float(made.loss(one).value.detach()) for one in (few, some, few)]
        reads = made._kept and len(made._kept._known)
        assert reads in (None, 3)
    assert losses[tmp_path] == pytest.approx(losses[None], rel=1e-5)
    assert not list(tmp_path.iterdir()), "no file is seen"


@pytest.mark.parametrize("decoder", DECODERS)
def test_adapters_mask_and_heads_learn_and_the_target_does_not(decoder):
    made = objective(told=0.5 if decoder in TOLD else 0.0, decoder=decoder, block_length=PLACES + 2)
    torch.autograd.backward(made.loss(batch(4)).value)
    still = {name for name, one in made.network.named_parameters() if float(one.grad.abs().max()) == 0}
    assert still == set()
    assert not any(one.requires_grad for one in made._target._decoder.parameters())


def given_batch(decoder, places=4, vocab=5):
    """Windows of a small vocabulary, and heads with weights of any size."""
    generator = torch.Generator().manual_seed(7)
    config = config_of("oneshot", MODEL, decoder=decoder, block_length=places)
    base = config.base.model_copy(update={"vocab_size": vocab})
    heads = OneShotHeads(config.model_copy(update={"base": base}))
    for one in heads.parameters():
        torch.nn.init.normal_(one, std=0.5, generator=generator)
    tokens = torch.tensor([[3, 3, 1, 1], [2, 4, 2, 1], [4, 1, 1, 1]])
    return heads.requires_grad_(False), WindowBatch(
        logits=torch.randn(3, places, vocab, generator=generator),
        states=torch.randn(3, places, MODEL.hidden_size, generator=generator),
        tokens=tokens,
        lengths=torch.tensor([2, 3, 1]),
        told=torch.tensor([False, decoder in TOLD, False]),
    )


def test_the_value_of_ctc_sums_over_alignments():
    heads, given = given_batch("ctc")
    law = heads.labels(given.logits, given.states).log_softmax(dim=-1)
    each = []
    for row, length in enumerate(given.lengths.tolist()):
        text = tuple(given.tokens[row, :length].tolist())
        total = sum(
            float(sum(law[row, place, label] for place, label in enumerate(path)).exp())
            for path in itertools.product(range(6), repeat=4)
            if collapse(path, 5) == text
        )
        each.append(-math.log(total) / length)
    assert float(DECODERS["ctc"].value(heads, given)) == pytest.approx(sum(each) / 3, rel=1e-4)


def test_the_value_of_a_graph_sums_over_paths_that_write_the_answer_and_its_end():
    heads, given = given_batch("dag")
    law, links, each = given.logits.log_softmax(dim=-1), heads.links(given.states), []
    for row, length in enumerate(given.lengths.tolist()):
        text, total = given.tokens[row, : length + 1].tolist(), 0.0
        for inner in itertools.combinations((1, 2), length - 1):
            path = (0, *inner, 3)
            score = sum(float(links[row, a, b]) for a, b in itertools.pairwise(path))
            total += math.exp(score + sum(float(law[row, at, token]) for at, token in zip(path, text, strict=True)))
        each.append(-math.log(total) / (length + 1))
    assert float(DECODERS["dag"].value(heads, given)) == pytest.approx(sum(each) / 3, rel=1e-4)


def test_the_value_of_a_chain_is_that_of_the_whole_text_and_half_of_its_places():
    heads, given = given_batch("crf")
    transitions, each, places = heads.transitions(given.states), [], []
    for row in range(3):
        count = 3 if bool(given.told[row]) else 4
        steps = [transitions.first @ transitions.dynamic[row, at] @ transitions.second.T for at in range(count - 1)]

        def score(text, row=row, steps=steps):
            own = sum(float(given.logits[row, place, token]) for place, token in enumerate(text))
            return own + sum(float(steps[at][a, b]) for at, (a, b) in enumerate(itertools.pairwise(text)))

        scores = torch.tensor([score(text) for text in itertools.product(range(5), repeat=count)])
        text = given.tokens[row, :count].tolist()
        each.append((float(scores.logsumexp(0)) - score(text)) / count)
        law = given.logits[row].log_softmax(dim=-1)
        places += [-float(law[place, text[place]]) for place in range(1, count)]
    expected = sum(each) / 3 + 0.5 * sum(places) / len(places)
    assert float(DECODERS["crf"].value(heads, given)) == pytest.approx(expected, rel=1e-4)


def test_a_stop_string_ends_an_answer_and_is_remembered():
    plain = TrainingPrompt("Tell me about rain.")

    def ask(*prompts):
        return answers_of(MODEL, prompts, max_tokens=24, tell=lambda *numbers: None)

    (whole,) = ask(plain)
    text = MODEL.codec.decode(whole.token_ids)
    stop = text[len(text) // 2]
    cut = ask(TrainingPrompt(plain.text, stop=stop))
    assert [MODEL.codec.decode(one.token_ids) for one in cut] == ([text.split(stop)[0]] if text[0] != stop else [])
    assert all(one.stopped and one.ended(MODEL.codec.eos_ids) for one in cut)
    assert ask(TrainingPrompt(plain.text, stop=stop), plain) == [*cut, whole], "and so from disk"
    opened = ask(TrainingPrompt(plain.text, prefix="Rain:"))
    assert opened[0].prompt_ids == MODEL.codec.prompt((), text=plain.text, prefix="Rain:").token_ids
    assert not whole.stopped


def test_prefix_and_stop_are_read_from_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"prompt": " Name it. ", "prefix": "Name:", "stop": "\n"}) + "\n")
    assert read_prompts([path], seed=0) == [TrainingPrompt("Name it.", "Name:", "\n")]


def options(data, folder, *more):
    return [
        "train", "objective=oneshot", "model=tiny", f"data={data}", f"output={folder}", "held_out=2", "max_tokens=24",
        "batch_size=4", "places=6", "rank=4", "precision=float32", *more,
    ]  # fmt: skip


def test_the_command_learns_short_answers_by_heart(data, tmp_path, capsys):
    folder = tmp_path / "heads"
    assert main(options(data, folder, "epochs=60", "rate=0.01")) == 0
    out = capsys.readouterr().out
    assert "One-shot generation for tiny" in out
    card = json.loads((folder / "card.json").read_text())
    assert card["last_loss"] < 0.2 * card["first_loss"]
    assert min(card["top1"]) > 0.9
    assert card["answers"] + card["longer"]["answers"] <= 12
    assert not card["longer"]["cut"]
    heads = load_heads(folder, MODEL, kind="oneshot")
    assert (heads.config.block_length, heads.config.decoder) == (6, "argmax")
    again = tmp_path / "again"
    assert main(options(data, again, "epochs=1", f"start={folder}")) == 0
    assert json.loads((again / "card.json").read_text())["first_loss"] < 1.5 * card["last_loss"] + 0.1


def test_what_a_window_holds_of_longer_answers_can_be_learnt(data, tmp_path):
    cards = {}
    for longer in ("leave_out", "cut"):
        folder = tmp_path / longer
        assert main(options(data, folder, "epochs=1", "places=3", f"longer={longer}")) == 0
        cards[longer] = json.loads((folder / "card.json").read_text())
    left, cut = cards["leave_out"], cards["cut"]
    assert left["longer"]["answers"] == cut["longer"]["answers"] > 0
    assert cut["answers"] == left["answers"] + left["longer"]["answers"]
    assert "cut there" in (tmp_path / "cut" / "README.md").read_text()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("places=24", "write max_tokens=25 or more"),
        ("upsample=3", "it is of the decoders ctc and dag, and decoder is argmax"),
        ("decoder=ctc told_lengths=0.5", "it is of the decoders argmax and crf, and decoder is ctc"),
        ("decoder=ctc upsample=1", "write upsample=2 or more"),
        ("told_lengths=2", "told_lengths"),
        ("rank=0", "rank"),
        ("start=nowhere", "there is no config.json"),
    ],
)
def test_mistakes_are_told(more, words, data, tmp_path, capsys):
    assert main([*options(data, tmp_path / "out"), *more.split()]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Training of policies of edits: what is learnt from, that it is learnt, and the run."""

import json
import random
import signal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.cli.main import main
from ptgflow.diagnostics import Report
from ptgflow.engine.edit.policies.oracle import aligned
from ptgflow.engine.heads.loading import load_heads
from ptgflow.train.answers import Answer
from ptgflow.train.batches import Batch
from ptgflow.train.corruption import corrupted
from ptgflow.train.job import teacher_of
from ptgflow.train.levenshtein import train_levenshtein
from ptgflow.train.load import load_train
from ptgflow.train.measuring_edits import edit_quality
from ptgflow.train.objectives.lessons import AnsweredText, Lessons, Mistakes
from ptgflow.train.objectives.levenshtein import LevenshteinObjective
from tests.engine.edit.policies_of_tiny import MODEL, heads, policies
from tests.engine.heads_of_tiny import config_of, saved
from tests.train.test_interruptions import signalled
from tests.train.test_train import Silent

TEACHER = teacher_of(MODEL, torch.arange(MODEL.vocab_size))
END = min(MODEL.codec.eos_ids)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Tell me about {one}."}) + "\n" for one in range(8)))
    return path


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=30).map(tuple), st.floats(0, 0.5), st.integers(0, 1000))
def test_mistakes_are_as_few_as_was_asked_for_and_follow_from_the_draw(tokens, share, seed):
    found = corrupted(tokens, share=share, vocab=60, draw=random.Random(seed))
    assert found == corrupted(tokens, share=share, vocab=60, draw=random.Random(seed))
    # An edit takes out, repeats or replaces at most three tokens.
    assert aligned(found, tokens).edits <= 3 * round(share * len(tokens))
    assert all(token < 60 for token in found)


def test_likely_tokens_are_preferred():
    likely = [(100 + place, 200 + place) for place in range(40)]
    found = corrupted(range(40), share=0.5, vocab=60, draw=random.Random(3), likely=likely)
    new = [token for token in found if token >= 60]
    assert len(new) > 5
    assert all(token in likely[token % 100] for token in new)


def lessons(folder, width=8, **more):
    mistakes = Mistakes(**{"clean": 0.0, "noise": (0.2, 0.3), "plausible": 0.5, "slips": 0.0, **more})
    config = config_of("levenshtein", MODEL, width=width)
    return Lessons(config, heads("masked"), MODEL, mistakes, folder=folder, seed=5)


def texts(ended=True):
    generator = random.Random(1)
    return [
        AnsweredText((5, 6, 7), tuple(generator.randrange(3, 200) for _ in range(count)), ended) for count in (9, 20)
    ]


def test_a_lesson_is_what_the_best_editor_does_and_is_read_once(tmp_path, monkeypatch):
    made = lessons(tmp_path)
    asked = [(one, version) for one in texts() for version in (0, 1)]
    first = made.of(asked)
    monkeypatch.setattr(Lessons, "_read", None)
    again = made.of(list(reversed(asked)))
    for one, other, (text, _) in zip(first, reversed(again), asked, strict=True):
        assert one.wrong == other.wrong
        assert torch.equal(one.whole.states, other.whole.states)
        assert one.whole.tokens == len(one.wrong) == len(one.moves)
        assert one.left.tokens == one.whole.tokens - sum(one.wrong)
        assert one.left.tokens + sum(one.counts) == len(text.target)
        assert len(one.counts) == one.left.tokens + 1
    assert first[0].wrong != first[1].wrong or first[0].counts != first[1].counts, "versions differ"
    assert not list(tmp_path.iterdir()), "no file is seen"


def test_of_an_answer_that_was_cut_nothing_is_learnt_about_its_end(tmp_path):
    for one in lessons(tmp_path).of([(one, 0) for one in texts(ended=False)]):
        assert len(one.counts) == one.left.tokens


def test_a_text_without_mistakes_is_read_once_and_stays(tmp_path):
    for one in lessons(tmp_path, clean=0.999999).of([(one, 0) for one in texts()]):
        assert not any(one.wrong)
        assert set(one.moves) == {0}
        assert set(one.counts) == {0}
        assert one.left is one.whole


def batch(step=0):
    """One answer that was cut, and one that the base ended itself."""
    tokens = torch.randint(3, 200, (2, 18), generator=torch.Generator().manual_seed(1))
    tokens[1, 16] = END
    answers = torch.zeros(tokens.shape, dtype=torch.bool)
    answers[0, 4:], answers[1, 3:17] = True, True
    return Batch(tokens=tokens, states=torch.zeros(2, 18, 0), answers=answers, step=step)


def objective(folder, versions=1, width=8):
    torch.manual_seed(2)
    config = config_of("levenshtein", MODEL, width=width)
    return LevenshteinObjective(config, TEACHER, lessons=lessons(folder), versions=versions, seed=3)


def test_what_is_drawn_follows_from_the_step_alone(tmp_path):
    losses = [float(objective(tmp_path, versions=3).loss(batch(step)).value.detach()) for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


def test_mistakes_are_learnt_by_heart(tmp_path):
    made = objective(tmp_path, width=32)
    optimizer = torch.optim.Adam(made.network.parameters(), lr=0.01)
    losses = []
    for step in range(150):
        optimizer.zero_grad()
        losses.append(made.loss(batch(step)))
        torch.autograd.backward(losses[-1].value)
        optimizer.step()
    last = losses[-20:]
    assert sum(float(one.value.detach()) for one in last) / 20 < 0.2 * float(losses[0].value.detach())
    assert min(sum(column) / 20 for column in zip(*(one.hits for one in last), strict=True)) > 0.9


def test_everything_learns(tmp_path):
    made = objective(tmp_path)
    torch.autograd.backward(made.loss(batch()).value)
    still = {name for name, one in made.network.named_parameters() if float(one.grad.abs().max()) == 0}
    assert still == set()


def test_quality_is_told_in_shares():
    answers = [Answer((5, 6), (*range(20, 40), END)), Answer((5,), (END,))]
    found = edit_quality(policies(), MODEL, answers, seed=0)
    assert found.texts == 1, "an answer of nothing has no mistakes"
    for name in ("precision", "recall", "counts", "gaps", "unchanged", "kept"):
        assert 0 <= getattr(found, name) <= 1
    assert found.restored <= 1
    assert found.undone <= 1


def options(data, folder, adapters, *more):
    return [
        "train", "objective=levenshtein", "model=tiny", f"data={data}", f"output={folder}", f"adapters={adapters}",
        "held_out=2", "max_tokens=16", "batch_size=3", "width=8", "precision=float32", *more,
    ]  # fmt: skip


@pytest.fixture
def adapters(tmp_path):
    return saved(tmp_path / "adapters", "masked", MODEL)


def test_the_command_writes_policies_that_edit(data, adapters, tmp_path, capsys):
    folder = tmp_path / "policies"
    assert main(options(data, folder, adapters, "epochs=8", "rate=0.02")) == 0
    assert "Policies of edits for tiny" in capsys.readouterr().out
    card = json.loads((folder / "card.json").read_text())
    assert card["last_loss"] < card["first_loss"]
    assert card["edits"]["texts"] == 2
    assert load_heads(folder, MODEL, kind="levenshtein").config.width == 8
    run = ["run", "recipe=edit", "model=tiny", "text=A bird sat on the roof."]
    for editor in ("levenshtein", "insertion", "reposition"):
        own = [f"stage@stages.repair=edit/{editor}", f"stages.repair.weights={folder}"]
        assert main([*run, *own, f"stages.repair.adapters={adapters}"]) == 0
    tags = [f"stages.tag.weights={folder}", f"stages.tag.adapters={adapters}", f"stages.fill.weights={adapters}"]
    assert main(["run", "recipe=felix_masked", "model=tiny", "text=A bird sat on the roof.", *tags]) == 0
    # Other adapters than those that were read with.
    other = saved(tmp_path / "other", "masked", MODEL, rank=2)
    capsys.readouterr()
    assert main([*run, *own, f"stages.repair.adapters={other}"]) == 2
    assert "adapters for canvases" in capsys.readouterr().err
    assert main([*run, *own]) == 2
    assert "stages.repair.adapters=FOLDER" in capsys.readouterr().err
    again = tmp_path / "again"
    assert main(options(data, again, adapters, "epochs=1", "rate=1e-9", f"start={folder}")) == 0
    assert json.loads((again / "card.json").read_text())["start"]["tokens_learnt_from"] == card["tokens_learnt_from"]
    assert main(options(data, tmp_path / "x", other, f"start={folder}")) == 2


def test_an_interrupted_run_reads_its_texts_again_and_goes_on_to_the_same_weights(data, adapters, tmp_path):
    def spec(name):
        report = Report()
        found, _ = load_train(
            options(data, tmp_path / name, adapters, "epochs=4", "versions=2")[1:], config_dir=None, report=report
        )
        assert found is not None, report
        return found

    whole, _ = train_levenshtein(spec("whole"), MODEL, Silent())
    with pytest.MonkeyPatch.context() as patch:
        signalled(patch, signal.SIGINT, 5)
        with pytest.raises(KeyboardInterrupt):
            train_levenshtein(spec("stopped"), MODEL, Silent())
    resumed, _ = train_levenshtein(spec("stopped"), MODEL, Silent())
    assert (resumed.tokens, resumed.loss) == (whole.tokens, whole.loss)
    for name, weight in whole.objective.network.state_dict().items():
        assert torch.equal(weight, resumed.objective.network.state_dict()[name]), name


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("noise=[0.5,0.2]", "two shares above 0"),
        ("most=17", "most"),
        ("clean=1", "clean"),
        ("adapters=null", "adapters=FOLDER"),
    ],
)
def test_mistakes_are_told(more, words, data, adapters, tmp_path, capsys):
    assert main([*options(data, tmp_path / "out", adapters), more]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

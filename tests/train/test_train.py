"""Training on the tiny model: loss falls, a killed run goes on to the same weights, and what is wrong is told."""

import json

import pytest
import torch

from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.diagnostics import Report
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RunError
from ptgflow.train.answers import Answer
from ptgflow.train.features import LONGEST, FeatureStore
from ptgflow.train.invented import invented_prompts
from ptgflow.train.job import draft_vocabulary, head_config, heads_to_start_from, objective_of, teacher_of, train
from ptgflow.train.load import load_train
from ptgflow.train.trainer import Trainer
from tests.engine.heads_of_tiny import KINDS, saved
from tests.engine.public_heads import medusa, write

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


class Silent:
    def __init__(self):
        self.steps = []

    def stage(self, text, done, total, note=""):
        pass

    def training(self, progress):
        self.steps.append(progress)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def data(tmp_path):
    words = ["ducks", "tides", "bread", "chess", "rain", "trams", "bees", "ice"]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Tell me about {word}."}) for word in words))
    return path


def spec_of(kind, data, output, *more):
    report = Report()
    spec, _ = load_train(
        [
            f"heads={kind}",
            "model=tiny",
            f"data={data}",
            f"output={output}",
            "heads.draft_vocab_size=100",
            "held_out=2",
            "max_tokens=24",
            "batch_size=2",
            "epochs=6",
            "rate=0.01",
            *more,
        ],
        config_dir=None,
        report=report,
    )
    assert report.ok, str(report.errors)
    return spec


@pytest.mark.parametrize(
    ("kind", "more"), [*((kind, ()) for kind in KINDS), ("blockwise", ("heads.sub_loss=random", "heads.width=24"))]
)
def test_loss_falls_and_a_killed_run_goes_on_to_the_same_weights(kind, more, data, tmp_path, monkeypatch):
    watch = Silent()
    whole = train(spec_of(kind, data, tmp_path / "whole", *more), MODEL, watch)
    assert whole.loss < whole.first_loss
    assert watch.steps[-1].step == watch.steps[-1].steps == 18

    original = Trainer._one
    done = []

    def killed(self):
        if len(done) == 7:
            self.save()
            raise KeyboardInterrupt
        done.append(1)
        return original(self)

    spec = spec_of(kind, data, tmp_path / "killed", *more)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_one", killed)
        with pytest.raises(KeyboardInterrupt):
            train(spec, MODEL, Silent())
    resumed = train(spec, MODEL, Silent())
    assert resumed.tokens == whole.tokens
    for name, weight in whole.objective.network.state_dict().items():
        assert torch.equal(weight, resumed.objective.network.state_dict()[name]), name


def test_heads_of_another_width_are_not_gone_on_with(tmp_path):
    folder = saved(tmp_path, "blockwise", MODEL)
    config = load_heads(folder, MODEL, kind="blockwise").config
    assert heads_to_start_from(folder, config, MODEL).config == config
    with pytest.raises(RunError, match=r"PTG621.*intermediate_size"):
        heads_to_start_from(folder, config.model_copy(update={"intermediate_size": 11}), MODEL)


def test_a_run_goes_on_from_trained_heads_of_its_shape(data, tmp_path, capsys):
    more = ["heads=medusa", "model=tiny", f"data={data}", "held_out=2", "max_tokens=24", "batch_size=2", "rate=0.01"]
    size = "heads.draft_vocab_size=100"
    assert main(["train", *more, size, "epochs=6", f"output={tmp_path / 'first'}"]) == 0
    first = json.loads((tmp_path / "first" / "card.json").read_text())
    assert first["start"] is None
    assert main(["train", *more, size, "epochs=1", f"start={tmp_path / 'first'}", f"output={tmp_path / 'next'}"]) == 0
    card = json.loads((tmp_path / "next" / "card.json").read_text())
    assert card["start"]["tokens_learnt_from"] == first["tokens_learnt_from"]
    assert card["first_loss"] < (first["first_loss"] + first["last_loss"]) / 2
    capsys.readouterr()
    other = "heads.draft_vocab_size=90"
    assert main(["train", *more, other, f"start={tmp_path / 'first'}", f"output={tmp_path / 'x'}"]) == 2
    assert "PTG621" in capsys.readouterr().err
    write(tmp_path / "published", medusa(), file="medusa_lm_head.safetensors")
    assert main(["train", *more, f"start={tmp_path / 'published'}", f"output={tmp_path / 'x'}"]) == 2
    assert "training goes on from heads that ptgflow has trained" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_writes_heads_that_load(kind, data, tmp_path, capsys):
    more = [f"heads={kind}", "model=tiny", f"data={data}", f"output={tmp_path / 'heads'}", "heads.draft_vocab_size=100"]
    options = ["held_out=2", "max_tokens=24", "epochs=2", "format=json"]
    assert main(["train", *more, *options]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["base"]["name"] == "tiny"
    assert card["answers"] == 6
    assert [one["tokens_per_round"] >= 1 for one in card["acceptance"]] == [True] * 4
    assert load_heads(tmp_path / "heads", MODEL, kind=kind).config.draft_vocab_size == 100
    assert "checkpoint.pt" not in {path.name for path in (tmp_path / "heads").iterdir()}
    assert (
        main(["run", "recipe=mtp_dv", f"stage@stages.write=mtp/{kind}", "model=tiny", "max_tokens=12", "prompt=Hi."])
        == 2
    )
    assert "PTG623" in capsys.readouterr().err
    weights = f"stages.write.weights={tmp_path / 'heads'}"
    run = ["run", "recipe=mtp_dv", f"stage@stages.write=mtp/{kind}", weights, "model=tiny", "max_tokens=12"]
    assert main([*run, "prompt=Hi."]) == 0


def test_heads_start_from_what_the_target_foresees(data, tmp_path):
    """Heads on the last state are the target's own before they have learnt anything."""
    nets = {}
    for kind in ("medusa", "hydra", "blockwise"):
        spec = spec_of(kind, data, tmp_path)
        config, _ = head_config(spec, MODEL)
        nets[kind] = objective_of(spec, config, teacher_of(MODEL, draft_vocabulary([], 100, MODEL))).network
    state, embedded = torch.randn(3, MODEL.hidden_size), torch.randn(4, 3, MODEL.hidden_size)
    for head in range(4):
        assert torch.equal(nets["medusa"][head](state), state)
        assert torch.equal(nets["hydra"].ahead(head, state, list(embedded[: head + 1])), state)
        assert torch.equal(nets["blockwise"](state)[:, head], state)


def test_output_matrices_of_their_own_start_as_the_target_s(data, tmp_path):
    ids = draft_vocabulary([], 100, MODEL)
    for kind, name in (("medusa", "1.1.weight"), ("hydra", "hydra_lm_head.1.weight")):
        spec = spec_of(kind, data, tmp_path, "heads.own_output=true", "heads.layers=1", "heads.heads=2")
        config, _ = head_config(spec, MODEL)
        net = objective_of(spec, config, teacher_of(MODEL, ids)).network
        assert torch.equal(net.get_parameter(name), MODEL.output_rows(ids))


def test_a_checkpoint_of_another_run_is_not_gone_on_with(data, tmp_path, monkeypatch):
    monkeypatch.setattr("ptgflow.train.trainer.Trainer.run", lambda self, tell: self.save())
    train(spec_of("medusa", data, tmp_path), MODEL, Silent())
    with pytest.raises(RunError, match=r"PTG610.*another schedule"):
        train(spec_of("medusa", data, tmp_path, "rate=0.5"), MODEL, Silent())
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(RunError, match=r"PTG610.*damaged"):
        train(spec_of("medusa", data, tmp_path), MODEL, Silent())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["data=missing.jsonl"], "PTG610"),
        (["data=missing"], "there is no such file or folder"),
        (["data=[]"], "invent=N"),
        (["heads=hydro"], "hydro"),
        (["epochs=0"], "epochs"),
        (["epoch=3"], "epochs"),
        (["heads.steps=3"], "heads"),
        (["+heads.steps=3"], "medusa heads have no option 'steps'"),
        (["heads=blockwise", "+heads.own_output=true"], "blockwise heads have no option 'own_output'"),
        (["heads=hydra", "heads.sub_loss=mean"], "heads"),
        (["-m"], "train runs once"),
    ],
)
def test_mistakes_are_told(options, words, data, tmp_path, capsys):
    base = [
        "model=tiny",
        f"output={tmp_path / 'x'}",
        *([] if any("data" in one for one in options) else [f"data={data}"]),
    ]
    assert main(["train", *base, *options]) == 2
    assert words in capsys.readouterr().err


def test_a_model_makes_up_prompts_that_a_longer_or_a_killed_run_begins_with(tmp_path, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path))
    told = []

    def made(count, seed=3):
        return invented_prompts(MODEL, count, seed=seed, tell=lambda *numbers: told.append(numbers))

    # The tiny model ends few turns, so most tries are spent.
    few = made(5)
    assert few, "some turns end"
    assert len(few) == len(set(few)) <= 5
    assert all(few)
    before = len(told)
    assert made(5) == few
    assert len(told) == before, "what is on disk is not written again"
    more = made(8)
    assert more[: len(few)] == few
    (file,) = (tmp_path / "prompts").iterdir()
    with file.open("a") as half:
        half.write('"a turn of a lot that was never finished"\n')
    assert made(8) == more
    assert made(5, seed=4) != few


def test_an_answer_that_is_longer_than_what_is_kept_is_learnt_from_its_first_kept_token_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path))
    answer = Answer((5, 6, 7), tuple(at % 200 for at in range(LONGEST + 10)))
    store = FeatureStore(MODEL, (MODEL.layers,))
    store.fill([answer], lambda done, of: None)
    example = store.read(answer)
    assert example.tokens.tolist() == list(answer.token_ids[10:])
    assert example.start == 1


def test_a_run_on_prompts_of_the_model_alone(tmp_path):
    spec = spec_of("medusa", "[]", tmp_path / "out", "invent=6", "held_out=1", "epochs=1")
    trained = train(spec, MODEL, Silent())
    assert trained.examples >= 1
    assert len(trained.held_out) == 1


def test_all_forms_of_data_are_read(tmp_path):
    from ptgflow.train.prompts import read_prompts

    (tmp_path / "a.jsonl").write_text(
        '{"prompt": "one"}\n{"question": "two"}\n\n{"turns": ["three", "x"]}\n'
        '{"instruction": "four", "instances": [{"input": "five"}]}\n{"instruction": "six"}\n{"prompt": "one"}\n'
    )
    (tmp_path / "b.csv").write_text('act,prompt\nA,"seven, eight"\n')
    (tmp_path / "c.txt").write_text("It rains. " * 300)
    found = read_prompts([tmp_path], seed=1)
    assert {"one", "two", "three", "four\n\nfive", "six", "seven, eight"} <= {one.text for one in found}
    assert any("It rains." in one.text for one in found)
    assert len(found) == len(set(found))
    assert found == read_prompts([tmp_path], seed=1) != read_prompts([tmp_path], seed=2)
    for name, text, code in [
        ("d.jsonl", "{", "PTG613|PTG6"),
        ("e.csv", "x\n1\n", "no column"),
        ("f.bin", "", "none of"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(RunError, match=code):
            read_prompts([tmp_path / name], seed=0)

"""Distillation of draft models on the tiny model: divergences, shapes, both kinds of data, and the way to a recipe."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.diagnostics import Report
from ptgflow.engine.models.model import load_model, network_and_tokenizer
from ptgflow.errors import RecipeError
from ptgflow.train.distilling import distill
from ptgflow.train.load import load_train
from ptgflow.train.objectives.divergences import divergence_of
from ptgflow.train.objectives.on_policy import sampled
from ptgflow.train.spec import StudentOptions
from ptgflow.train.student import evenly_spaced, student_of
from tests.train.test_train import Silent

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
WORDS = ["ducks", "tides", "bread", "chess", "rain", "trams"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Tell me about {word}."}) for word in WORDS))
    return path


def options(data, output, *more):
    return [
        "objective=distill_draft",
        "model=tiny",
        f"data={data}",
        f"output={output}",
        "student.layers=1",
        "held_out=1",
        "max_tokens=16",
        "batch_size=2",
        "epochs=3",
        "rate=0.003",
        *more,
    ]


def spec_of(data, output, *more):
    report = Report()
    spec, _ = load_train(options(data, output, *more), config_dir=None, report=report)
    assert report.ok, str(report.errors)
    return spec


laws = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(lambda row: [one / sum(row) for one in row])


@settings(max_examples=40, deadline=None)
@given(p=laws, q=laws, beta=st.floats(0.1, 0.9))
def test_divergences_are_their_definitions(p, q, beta):
    def kl(one, other):
        return sum(a * math.log(a / b) for a, b in zip(one, other, strict=True))

    middle = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
    expected = {
        "forward_kl": kl(p, q),
        "reverse_kl": kl(q, p),
        "jsd": beta * kl(p, middle) + (1 - beta) * kl(q, middle),
        "tvd": 1 - sum(map(min, p, q)),
    }
    lines = [torch.tensor([row], dtype=torch.float64).log() for row in (p, q)]
    for name, value in expected.items():
        assert float(divergence_of(name, beta)(*lines)) == pytest.approx(value, abs=1e-9), name
    assert float(divergence_of("jsd", None)(*lines)) == pytest.approx(float(divergence_of("jsd", 0.5)(*lines)))


def test_layers_are_evenly_spaced_from_the_first_to_the_last():
    assert evenly_spaced(4, 30) == (0, 10, 19, 29)
    assert evenly_spaced(1, 5) == (0,)
    assert evenly_spaced(5, 5) == (0, 1, 2, 3, 4)


def test_a_draft_model_of_all_layers_is_the_target():
    network, _, _ = network_and_tokenizer(CARD, lambda *step: None)
    ids = torch.tensor([[5, 6, 7, 8]])
    whole = student_of(CARD, StudentOptions(layers=2), torch.device("cpu"), seed=0)
    assert whole.layers == (0, 1)
    with torch.no_grad():
        assert torch.equal(whole.network(ids).logits, network(ids).logits)
    one = student_of(CARD, StudentOptions(layers=1), torch.device("cpu"), seed=0).network
    first = {name: weight for name, weight in network.state_dict().items() if "layers.1." not in name}
    assert set(first) == set(one.state_dict())
    assert all(torch.equal(weight, one.state_dict()[name]) for name, weight in first.items())


def test_a_narrower_draft_model_keeps_the_width_of_heads():
    made = student_of(CARD, StudentOptions(layers=2, hidden_size=8), torch.device("cpu"), seed=3)
    config = made.network.config
    assert (config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (8, 2, 2, 4)
    assert config.intermediate_size == 16
    assert made.layers == ()
    again = student_of(CARD, StudentOptions(layers=2, hidden_size=8), torch.device("cpu"), seed=3)
    assert all(torch.equal(one, again.network.state_dict()[name]) for name, one in made.network.state_dict().items())
    for shape, name in ((StudentOptions(layers=3), "layers"), (StudentOptions(hidden_size=6, layers=1), "hidden_size")):
        with pytest.raises(RecipeError, match=f"PTG008.*{name}"):
            student_of(CARD, shape, torch.device("cpu"), seed=0)


def test_own_answers_are_drawn_from_the_model_token_by_token():
    """Padding and the cache change nothing: drawn again one by one from whole texts, the tokens are the same."""
    network = student_of(CARD, StudentOptions(layers=2), torch.device("cpu"), seed=0).network
    prompts = [[0, 2, 50, 60, 70], [0, 2, 90]]
    found = sampled(network, prompts, max_tokens=6, end_ids=(), generator=torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    texts = [list(prompt) for prompt in prompts]
    for _ in range(6):
        with torch.no_grad():
            rows = [network(torch.tensor([text])).logits[0, -1] for text in texts]
        for text, token in zip(
            texts, torch.multinomial(torch.stack(rows).softmax(-1), 1, generator=generator), strict=True
        ):
            text.append(int(token))
    assert found == [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]
    ends = {token for row in found for token in row[:2]}
    cut = sampled(network, prompts, max_tokens=6, end_ids=ends, generator=torch.Generator().manual_seed(5))
    assert [len(row) for row in cut] == [1, 1]
    assert [row[0] for row in cut] == [row[0] for row in found]


@pytest.mark.parametrize("more", [("divergence=tvd",), ("divergence=jsd", "beta=0.3", "fixed_data=0.5")], ids=" ".join)
def test_the_divergence_falls_and_an_interrupted_run_goes_on_to_the_same_weights(more, data, tmp_path):
    watch = Silent()
    whole = distill(spec_of(data, tmp_path / "whole", *more), MODEL, watch).trained
    steps = watch.steps[-1].steps
    assert whole.loss < whole.first_loss

    class Impatient(Silent):
        def training(self, progress):
            raise KeyboardInterrupt

    spec = spec_of(data, tmp_path / "part", *more)
    with pytest.MonkeyPatch.context() as patch:
        # The second step is told of, and whoever is told has enough.
        patch.setattr("ptgflow.train.trainer.TELL_EVERY_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            distill(spec, MODEL, Impatient())
    assert 0 < torch.load(tmp_path / "part" / "checkpoint.pt", weights_only=True)["step"] < steps
    resumed = distill(spec, MODEL, Silent()).trained
    assert resumed.tokens == whole.tokens
    for name, weight in whole.objective.network.state_dict().items():
        assert torch.equal(weight, resumed.objective.network.state_dict()[name]), name


def test_a_share_of_the_steps_is_on_the_draft_model_s_own_answers(data, tmp_path, monkeypatch):
    asked = []

    def recorded(network, prompts, **how):
        asked.append(prompts)
        return sampled(network, prompts, **how)

    monkeypatch.setattr("ptgflow.train.objectives.distill_draft.sampled", recorded)
    watch = Silent()
    distill(spec_of(data, tmp_path / "half", "fixed_data=0.5", "epochs=8"), MODEL, watch)
    steps = watch.steps[-1].steps
    assert steps / 4 < len(asked) < 3 * steps / 4
    own = MODEL.codec.prompt((), text="Tell me about ducks.").token_ids
    assert len(own) in {len(prompt) for prompts in asked for prompt in prompts}
    asked.clear()
    distill(spec_of(data, tmp_path / "none", "epochs=1"), MODEL, Silent())
    assert asked == []


def test_the_command_writes_a_model_that_drafts_for_the_target(data, tmp_path, capsys):
    folder = tmp_path / "draft"
    assert main(["train", *options(data, folder, "format=json")]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["student"] == {"layers": 1, "hidden_size": 16, "from_layers": [0]}
    assert card["last_loss"] < card["first_loss"]
    assert [one["tokens_per_round"] >= 1 for one in card["acceptance"]] == [True] * 4
    assert "Draft model for tiny" in (folder / "README.md").read_text()
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "card.json"} <= names
    assert not any(name.startswith(("part-", "checkpoint")) for name in names)
    own = load_model(ModelCard(name="draft", source=str(folder), device="cpu"))
    assert own.codec.fingerprint == MODEL.codec.fingerprint

    common = ["model=tiny", "max_tokens=16", "prompt=Tell me about bees.", "format=json"]
    assert main(["run", "recipe=ar", *common]) == 0
    plain = json.loads(capsys.readouterr().out)
    drafts = ["recipe=draft_verify", "stage@stages.write=draft_verify/model", f"stages.write.draft={folder}"]
    assert main(["check", *drafts, "model=tiny"]) == 0
    capsys.readouterr()
    assert main(["run", *drafts, "stages.write.length=fixed", "stages.write.k=4", *common]) == 0
    drafted = json.loads(capsys.readouterr().out)
    assert drafted["token_ids"] == plain["token_ids"]
    assert drafted["guarantee"]["level"] == "exact"
    assert drafted["metrics"]["stages"][0]["proposed"] > 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["student.layers=9"], "the target has 2 layers"),
        (["student.hidden_size=7"], "write student.hidden_size=8"),
        (["beta=0.3"], "divergence is forward_kl"),
        (["fixed_data=2"], "fixed_data"),
        (["objective=distil"], "objective=distill_draft"),
        (["heads=medusa"], "heads"),
        (["divergence=kl"], "divergence"),
    ],
)
def test_mistakes_are_told(more, words, data, tmp_path, capsys):
    assert main(["train", *options(data, tmp_path / "x"), *more]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_is_no_checkpoint_is_told(tmp_path, capsys):
    drafts = ["recipe=draft_verify", "stage@stages.write=draft_verify/model", "model=tiny", "prompt=Hi."]
    assert main(["run", *drafts, f"stages.write.draft={tmp_path}"]) == 2
    assert "no config.json" in capsys.readouterr().err
    assert main(["check", *drafts[:3], f"stages.write.draft={tmp_path / 'none'}"]) == 2
    assert "PTG003" in capsys.readouterr().err

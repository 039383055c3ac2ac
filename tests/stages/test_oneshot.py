"""One-shot stages from training to text: short answers learnt by heart, and options that cannot be."""

import json

import pytest

from ptgflow import Masked, OneShot, Remask, compile
from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.errors import PtgError
from ptgflow.train.answers import answers_of
from ptgflow.train.prompts import TrainingPrompt
from tests.engine.heads_of_tiny import saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
LONGEST = 8


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Prompts with a string that stops their answers, and the answers up to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))
        asked = [TrainingPrompt(f"Tell me about {one}.") for one in ("ducks", "rain", "tides", "bread", "snow", "ink")]
        answers = answers_of(MODEL, asked, max_tokens=24, tell=lambda *numbers: None)
        texts = [MODEL.codec.decode(one.token_ids) for one in answers]
        found = []
        for number, (prompt, text) in enumerate(zip(asked, texts, strict=True)):
            at = next(at for at in range(2 + number % 5, LONGEST) if text.index(text[at]) == at)
            found.append((TrainingPrompt(prompt.text, stop=text[at]), text[:at]))
        yield found


def trained(decoder, short, folder, *more):
    data = folder / "prompts.jsonl"
    rows = [{"prompt": one.text, "stop": one.stop} for one, _ in short]
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"prompt": "Name it.", "stop": "D"}]))
    options = [
        f"decoder={decoder}", "model=tiny", f"data={data}", f"output={folder / 'heads'}", "held_out=1", "max_tokens=24",
        "batch_size=8", f"places={LONGEST}", "rank=4", "rate=0.01", "precision=float32", *more,
    ]  # fmt: skip
    assert main(["train", "objective=oneshot", *options]) == 0
    return folder / "heads"


@pytest.fixture(scope="module")
def argmax(short, tmp_path_factory):
    return trained("argmax", short, tmp_path_factory.mktemp("argmax"), "epochs=250")


def right(short, **options):
    """How many of the answers a stage writes."""
    results = [
        compile(OneShot(**options), model=CARD, max_tokens=24, stop=(one.stop,)).run(one.text) for one, _ in short
    ]
    assert all(one.error is None for one in results), results[0].error
    return sum(result.text == text for result, (_, text) in zip(results, short, strict=True))


@pytest.mark.parametrize("length", ["fixed", "predicted", "beam"])
def test_answers_that_were_learnt_by_heart_are_written(length, argmax, short):
    # One of them was held out.
    assert right(short, decoder="argmax", weights=str(argmax), length=length) >= len(short) - 1


def test_passes_are_counted(argmax):
    for length, passes in (("fixed", 1), ("predicted", 2), ("beam", 3)):
        flow = OneShot(decoder="argmax", weights=str(argmax), length=length)
        assert compile(flow, model=CARD, max_tokens=24).run("Tell me about ducks.").metrics.rounds in (passes, 2)


def test_adapters_for_canvases_have_no_length_head(tmp_path):
    folder = str(saved(tmp_path / "adapters", "masked", MODEL))
    result = compile(OneShot(decoder="argmax", weights=folder, length="predicted"), model=CARD).run("Hello.")
    assert result.error_code == "PTG612"
    assert "length=predicted needs a length head" in result.error
    assert compile(OneShot(decoder="argmax", weights=folder), model=CARD, max_tokens=5).run("Hello.").error is None


def test_a_number_of_lengths_is_of_a_beam():
    with pytest.raises(PtgError, match="beam=3 is of length=beam, and length is fixed"):
        compile(OneShot(decoder="argmax", beam=3), model=CARD)
    compile(OneShot(decoder="argmax", beam=3, length="beam"), model=CARD)


def test_what_was_trained_for_another_decoder_is_refused(tmp_path):
    folder = str(saved(tmp_path / "heads", "oneshot", MODEL, decoder="ctc"))
    result = compile(OneShot(decoder="argmax", weights=folder), model=CARD).run("Hello.")
    assert result.error_code == "PTG621"


@pytest.mark.parametrize(
    ("decoder", "more", "options"),
    [
        ("ctc", ("epochs=200",), [{}, {"decode": "beam"}, {"decode": "beam", "rescore": True}]),
        (
            "dag",
            ("epochs=200", "upsample=3"),
            [
                {"decode": "greedy"},
                {},
                {"decode": "viterbi"},
                {"decode": "joint_viterbi"},
                {"decode": "beam", "width": 8},
                {"decode": "beam", "width": 8, "rescore": True},
            ],
        ),
        ("crf", ("epochs=200",), [{}, {"length": "predicted"}, {"length": "beam", "beam": 3}]),
    ],
)
def test_other_decoders_learn_answers_by_heart_too(decoder, more, options, short, tmp_path_factory):
    folder = trained(decoder, short, tmp_path_factory.mktemp(decoder), *more)
    card = json.loads((folder / "card.json").read_text())
    assert card["last_loss"] < 0.2 * card["first_loss"]
    for one in options:
        found = right(short, decoder=decoder, weights=str(folder), **one)
        assert found >= len(short) - 1, one


def test_a_text_says_how_likely_its_tokens_were_where_each_stands_in_one_place(tmp_path):
    adapters = str(saved(tmp_path / "masked", "masked", MODEL))
    for decoder, options, told in (
        ("crf", {}, True),
        ("ctc", {}, True),
        ("ctc", {"decode": "beam"}, False),
        ("ctc", {"decode": "beam", "rescore": True}, True),
        ("dag", {"decode": "viterbi"}, True),
        ("dag", {"decode": "beam"}, False),
    ):
        folder = str(saved(tmp_path / decoder, "oneshot", MODEL, decoder=decoder, block_length=12))
        flow = OneShot(decoder=decoder, weights=folder, **options) >> Remask() >> Masked(weights=adapters)
        result = compile(flow, model=CARD, max_tokens=12).run("Tell me about ducks.")
        assert (result.error is None) is told, (decoder, options, result.error)
        assert told or result.error_code == "PTG612"

"""What cannot work with a public masked model is told, with the edit that would."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ptgflow import compile, load_recipe
from ptgflow.cli.main import main
from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.dsl import Masked
from ptgflow.engine.canvas.filler import own_filler
from ptgflow.engine.models.model import load_model
from ptgflow.errors import PtgError, RecipeError, RunError
from ptgflow.recipe.cards import card_facts
from tests.engine.canvas.gemma_networks import tiny_gemma
from tests.engine.canvas.masked_networks import random_network
from tests.engine.canvas.public_folders import FAMILIES, LLADA, MASK, MDLM, WORDS, dit, llada, tiny_tokenizer

PROMPT = "Tell me about ducks."


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of some families a folder."""
    root = tmp_path_factory.mktemp("refused")
    for name in ("llada", "mdlm", "sdar"):
        FAMILIES[name].folder(root / name)
    (root / "gemma").mkdir()
    tiny_gemma(WORDS).save_pretrained(root / "gemma")
    tiny_tokenizer().save_pretrained(root / "gemma")
    return root


def plan_of(folder, *more, recipe="masked"):
    return load_recipe(recipe, [f"model.source={folder}", "model.dtype=float32", "chat=false", "max_tokens=8", *more])


def refused(folder, *more, recipe="masked", **given):
    """What is said, whenever it is found out."""
    try:
        result = plan_of(folder, *more, recipe=recipe).run(**(given or {"prompt": PROMPT}))
    except PtgError as error:
        return str(error)
    assert result.error is not None
    return result.error_report


def test_a_model_without_a_mask_is_told_how_to_get_one(tmp_path):
    random_network("llama", WORDS).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    said = refused(tmp_path)
    assert "PTG636" in said
    assert "model.masked.mask_id=ID" in said
    assert "stages.fill.weights=FOLDER" in said


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("llada", ("model.masked.mask_id=999",), ("PTG616", "masked.mask_id 999", "tokens from 0 to 271")),
        ("llada", ("model.masked.end_ids=[7,400]",), ("PTG616", "masked.end_ids 400", "tokens from 0 to 271")),
        ("sdar", (), ("PTG608", "its mask token would be 151669", "model.masked.mask_id=ID")),
        ("gemma", ("model.masked.mask_id=3",), ("PTG608", "its holes are noise", "leave model.masked out")),
        ("llada", ("model.masked.attention=block_causal",), ("PTG608", "how long its blocks are", "block_length=N")),
        ("llada", ("model.masked.shift=true",), ("PTG004", "'model.masked'", "did you mean", "model.masked.shifted")),
        ("llada", ("model.masked.attention=causal",), ("PTG008", "model.masked.attention")),
        ("llada", ("stages.fill.weights=/nowhere",), ("PTG612", "fills holes without any", "stages.fill.weights=null")),
        (
            "mdlm",
            ("model.masked.mask_id=271", "stages.fill.cache=dllm"),
            ("PTG608", "layers of Llama", "another cache"),
        ),
        ("gemma", ("stages.fill.cache=prefix",), ("PTG612", "keeps exactly", "stages.fill.cache=none")),
        ("gemma", ("stages.fill.block_length=16",), ("PTG612", "blocks of 8", "stages.fill.block_length=8")),
        ("llada", ("accelerate.forward=written",), ("PTG608", "passes of masked models", "accelerate.forward=auto")),
        ("llada", ("model.dtype=int8",), ("PTG608", "int8 weights", "model.dtype=auto")),
    ],
)
def test_conventions_and_options_that_cannot_be_are_told(name, more, words, folders):
    said = refused(folders / name, *more)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("length", "works"), [(1, True), (2, True), (4, True), (3, False), (8, False)])
def test_blocks_of_a_block_causal_model_are_those_of_its_training_or_parts_of_them(length, works, folders):
    asked = ("model.masked.mask_id=271", f"stages.fill.block_length={length}")
    if works:
        assert plan_of(folders / "sdar", *asked).run(PROMPT).error is None
        return
    said = refused(folders / "sdar", *asked)
    assert "PTG612" in said
    assert f"block_length={length}, and 'custom' was trained on blocks of 4 places" in said
    assert "write stages.fill.block_length=4" in said


def test_mask_predict_opens_again_what_a_cache_has_kept(folders):
    asked = ("stage@stages.fill=masked/mask_predict", "stages.fill.iterations=3")
    said = refused(folders / "llada", *asked, "stages.fill.cache=dkv")
    assert "PTG404" in said
    assert "mask_predict re-opens positions of the current block, and cache=dkv keeps all that is settled" in said
    assert plan_of(folders / "llada", *asked, "stages.fill.cache=dual").run(PROMPT).error is None


def test_rounds_that_would_commit_nothing_are_told(folders):
    said = refused(folders / "llada", "stage@stages.fill=masked/maskgit", "stages.fill.steps=9")
    assert "steps=9 rounds for blocks of 8 positions" in said
    plan = plan_of(folders / "llada", "stage@stages.fill=masked/maskgit", "stages.fill.steps=9")
    assert plan.run(canvas="Ducks [MASK].").error is None


def test_a_canvas_longer_than_the_context_is_told(folders):
    said = refused(folders / "llada", canvas="a [MASK]" * 80)
    assert "PTG634" in said
    assert "reads at most 128" in said


@pytest.mark.parametrize("recipe", ["ar", "draft_verify", "mtp", "masked_dv"])
def test_what_writes_from_left_to_right_is_refused_before_anything_is_loaded(recipe, folders):
    for name in ("llada", "sdar", "gemma"):
        with pytest.raises(RecipeError, match=r"PTG401[\s\S]*it is a masked model: it fills holes"):
            plan_of(folders / name, recipe=recipe)


def test_it_is_refused_later_where_no_card_tells(folders):
    """A hub id is known only when it is loaded."""
    card = ModelCard(name="far", source=str(folders / "llada"), dtype="float32")
    model = load_model(card)
    assert model.capabilities == {Capability.MASK_TOKEN, Capability.BIDIRECTIONAL}
    with pytest.raises(RunError, match="it is a masked model, which fills holes"):
        model.open_pass()
    assert card_facts(card).capabilities == model.capabilities
    assert card_facts(card).context_length == 128
    stated = ModelCard(name="far", source="org/name", masked={"mask_id": 3})
    assert card_facts(stated).capabilities == model.capabilities
    assert card_facts(ModelCard(name="far", source="org/name")).capabilities is None


def test_training_from_left_to_right_is_refused(folders, tmp_path, capsys):
    (tmp_path / "text.jsonl").write_text('{"prompt": "Why?", "answer": "So."}\n')
    code = main(
        [
            *("train", "objective=heads", f"model.source={folders / 'llada'}"),
            *(f"data={tmp_path / 'text.jsonl'}", f"output={tmp_path / 'out'}"),
        ]
    )
    assert code == 2
    assert "it is a masked model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"alibi": True}, "alibi=True"), ({"block_type": "sequential"}, "block_type"), ({"include_bias": True}, "bias")],
)
def test_a_variant_that_llama_does_not_compute_is_told(changes, reason, tmp_path):
    llada(tmp_path, **changes)
    said = refused(tmp_path)
    assert "PTG608" in said
    assert reason in said


def test_a_diffusion_transformer_that_is_told_the_noise_level_is_refused(tmp_path):
    dit(tmp_path, {**MDLM, "time_conditioning": True})
    assert "time_conditioning=true" in refused(tmp_path, f"model.masked.mask_id={MASK}")


def test_a_family_whose_layers_are_not_there_is_told(tmp_path):
    llada(tmp_path, model_type="llada2_moe", architectures=["LLaDA2MoeModelLM"], auto_map={})
    said = refused(tmp_path)
    assert "PTG608" in said
    assert "the family llada2" in said


@pytest.mark.parametrize(
    ("drop", "reason"),
    [("model.transformer.ff_out.weight", "1 weights are missing"), ("", "cannot be used: 'n_layers'")],
)
def test_what_is_missing_is_named(drop, reason, tmp_path):
    llada(tmp_path)
    if drop:
        file = tmp_path / "model.safetensors"
        save_file({name: one for name, one in load_file(file).items() if name != drop}, file, {"format": "pt"})
    else:
        said = {key: one for key, one in LLADA.items() if key != "n_layers"}
        (tmp_path / "config.json").write_text(json.dumps(said))
    assert reason in refused(tmp_path)


def test_pickled_weights_of_a_translated_family_are_told(tmp_path):
    llada(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert "only safetensors can be read" in refused(tmp_path, "model.allow_pickle=true")


def knowing(folder, *, shifted):
    """A checkpoint that was trained on the words of the probe, in one of the two conventions."""
    network = random_network("llama", WORDS + 1).requires_grad_(True)
    codec = tiny_tokenizer()
    text = torch.tensor(codec.encode("The sun rises in the east and sets in the west. Water is made of hydrogen.")[:40])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    texts, visible = text.expand(8, -1), torch.ones(8, 1, len(text), len(text), dtype=torch.bool)
    for _ in range(40):
        holes = torch.rand(texts.shape, generator=generator) < 0.2
        holes[:, 0] = False
        logits = network(texts.masked_fill(holes, MASK), attention_mask=visible).logits
        logits = torch.cat([logits[:, :1], logits[:, :-1]], dim=1) if shifted else logits
        loss = torch.nn.functional.cross_entropy(logits[holes], texts[holes])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.save_pretrained(folder)
    codec.save_pretrained(folder)


@pytest.mark.parametrize("shifted", [False, True])
def test_logits_that_are_read_in_the_wrong_way_are_told_of(shifted, tmp_path, capsys):
    knowing(tmp_path, shifted=shifted)
    asked = ["run", "recipe=masked", f"model.source={tmp_path}", "prompt=Why?", "max_tokens=4", "model.dtype=float32"]
    for declared in (shifted, not shifted):
        said = str(declared).lower()
        code = main([*asked, f"model.masked.mask_id={MASK}", f"model.masked.shifted={said}"])
        err = capsys.readouterr().err
        assert code == 0, err
        assert ("PTG635" in err) == (declared != shifted)
        if declared != shifted:
            assert f"write model.masked.shifted={str(shifted).lower()}" in err


@pytest.mark.parametrize("shifted", ["true", "false"])
def test_a_model_that_knows_nothing_is_not_doubted(shifted, capsys):
    for mask in range(4):
        card = ("model=custom", "model.source=tiny", f"model.masked.mask_id={mask}", f"model.masked.shifted={shifted}")
        assert main(["run", "recipe=masked", *card, "prompt=Why?", "max_tokens=4"]) == 0
    assert "PTG" not in capsys.readouterr().err


def test_a_warning_is_told_once(tmp_path):
    knowing(tmp_path, shifted=True)
    card = ModelCard(name="k", source=str(tmp_path), dtype="float32", masked={"mask_id": MASK})
    plan = compile(Masked(selector="topk"), model=card, max_tokens=4, chat=False)
    told = [event.text for _ in range(2) for event in plan.stream("Why?") if getattr(event, "kind", None) == "warning"]
    assert len(told) == 1
    assert "PTG635" in told[0]


def test_a_plain_model_has_no_filler_of_its_own():
    model = load_model(ModelCard(name="tiny", source="tiny"), Accelerate())
    assert own_filler(model, "none") is None

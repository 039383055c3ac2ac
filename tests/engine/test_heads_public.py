"""Published heads: every format is read and drafts what its authors' description says; what does not fit is told."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.growth import TREES, Wanted
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.eagle_drafter import EagleDrafter
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.engine.request import Ask, DecodeRequest
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError
from tests.engine import public_heads as public
from tests.engine.plain_drafts import foreseen, layer, linear, norm
from tests.engine.test_heads import PROMPTS, decoded

IDS = (5, 9, 30, 7, 7, 41, 12)
TAPS = [0, 2, 5]


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A model with enough layers for a low, a middle and a high one."""
    folder = tmp_path_factory.mktemp("deep")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=public.VOCAB,
        hidden_size=public.HIDDEN,
        intermediate_size=32,
        num_hidden_layers=7,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return load_model(ModelCard(name="deep", source=str(folder), device="cpu", dtype="float32"))


FORMATS = {
    "eagle": lambda: public.eagle(),
    "eagle without a bias": lambda: public.eagle(bias=False),
    "eagle3": lambda: public.eagle3(taps=TAPS),
    "eagle3 of a server": lambda: public.eagle3("layers.0", taps=TAPS),
    "speculators eagle": lambda: public.speculators("eagle"),
    "speculators eagle with a bias": lambda: public.speculators("eagle", fusion_bias=True),
    "speculators eagle3": lambda: public.speculators("eagle3", taps=TAPS),
    "speculators eagle3, normed": lambda: public.speculators(
        "eagle3", taps=TAPS, norm_before_residual=True, norm_before_fc=True
    ),
}


def states_of(model, ids, taps):
    run = model.open_pass()
    return run.tapped([RowInput(row=run.cache.admit(), tokens=tuple(ids))], taps).states.clone()


def reference(made, model, ids, count):
    """What the description of a format says of its chain."""
    config, tensors = made
    tensors = {
        name.replace("fusion_fc.", "fc.").replace("transformer.", "layers.0."): one for name, one in tensors.items()
    }
    embed = tensors.get("embed_tokens.weight", model.embed(torch.arange(model.vocab_size)))
    if "d2t" not in tensors:
        head = model.output_rows(torch.arange(model.vocab_size))
        states = states_of(model, ids[:-1], (model.layers,))

        def step(tokens, states):
            x = linear(tensors, "fc", torch.cat((embed[tokens], states), -1))
            return layer(tensors, "layers.0", x, x)

        return foreseen(step, lambda left: left @ head.T, states, ids, count)
    prefix = "midlayer" if "midlayer.hidden_norm.weight" in tensors else "layers.0"
    states = states_of(model, ids[:-1], TAPS)
    if "input_norm.weight" in tensors:
        states = norm(states, tensors["input_norm.weight"])

    def step(tokens, states):
        normed = norm(states, tensors[f"{prefix}.hidden_norm.weight"])
        x = torch.cat((norm(embed[tokens], tensors[f"{prefix}.input_layernorm.weight"]), normed), -1)
        return layer(tensors, prefix, x, normed if config.get("norm_before_residual") else states)

    def logits(left):
        drafted = linear(tensors, "lm_head", norm(left, tensors["norm.weight"]))
        every = torch.full((public.VOCAB,), -torch.inf)
        every[public.OFFSETS + torch.arange(public.DRAFTED)] = drafted
        return every

    return foreseen(step, logits, linear(tensors, "fc", states), ids, count)


def assert_drafts(joint, model, ids, laws):
    """The candidates of each level of a chain have the chances that the reference gives them."""
    joint.read(0, ids[:-1], states_of(model, ids[:-1], joint.taps))
    ask = [Ask(row=0, context=ids, limit=8, written=0, sampling=Sampling(), seed=0)]
    assert joint.ready(ask) == [True]
    chain = ()
    for law in laws:
        (found,) = joint.expand(ask, [(0, Wanted(TokenTree.chain(chain), (len(chain) - 1,)))])
        assert found[0].chances == pytest.approx(law.topk(len(found[0].chances)).values.tolist(), abs=1e-5)
        assert found[0].chances == pytest.approx(law[list(found[0].tokens)].tolist(), abs=1e-5)
        chain = (*chain, int(law.argmax()))


@pytest.mark.parametrize("name", FORMATS)
def test_heads_draft_what_their_format_describes(name, deep, tmp_path):
    made = FORMATS[name]()
    heads = load_heads(public.write(tmp_path, made), deep, kind="eagle")
    with torch.no_grad():
        laws = reference(made, deep, IDS, 4)
    assert_drafts(EagleDrafter(heads, deep, TREES["dyspec"](), size=12), deep, IDS, laws)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("file", ["medusa_lm_head.safetensors", "medusa_lm_head.pt"])
def test_medusa_heads_are_read_and_all_that_are_there(deep, layers, file, tmp_path):
    made = public.medusa(heads=3, layers=layers)
    _, tensors = made
    pickled = load_model(deep.card.model_copy(update={"allow_pickle": True}))
    heads = load_heads(public.write(tmp_path, made, file=file), pickled, kind="medusa")
    assert heads.config.heads == 3, "the configuration says 2, as those of Vicuna do"
    joint = drafter_of(heads, deep, Chain(), size=3)
    states = states_of(deep, IDS[:-1], joint.taps)
    joint.read(0, IDS[:-1], states)
    (proposal,) = joint.propose([Ask(row=0, context=IDS, limit=3, written=0, sampling=Sampling(), seed=0)])
    found = []
    for head in range(3):
        x = states[-1]
        for block in range(layers):
            x = x + torch.nn.functional.silu(linear(tensors, f"{head}.{block}.linear", x))
        found.append(int((tensors[f"{head}.{layers}.weight"] @ x).argmax()))
    assert proposal.tree.tokens == tuple(found)


@pytest.mark.parametrize("name", ["eagle", "eagle3", "speculators eagle3, normed"])
@pytest.mark.parametrize("tree", TREES)
def test_whatever_they_draft_the_text_is_greedy_decodings(name, tree, deep, tmp_path):
    heads = load_heads(public.write(tmp_path, FORMATS[name]()), deep, kind="eagle")
    joint = EagleDrafter(heads, deep, TREES[tree](), size=12)
    asks = [{"prompt_ids": ids, "max_new_tokens": 20} for ids in PROMPTS]
    plain = decoded([DecodeRequest(**one) for one in asks], model=deep)
    drafted = decoded([DecodeRequest(**one, joint=(joint,), length="fixed") for one in asks], model=deep)
    assert [one.token_ids for one in drafted] == [one.token_ids for one in plain]
    assert any(one.proposed for one in drafted)


def test_an_embedding_is_kept_only_where_it_is_not_the_targets(deep, tmp_path):
    config, tensors = public.eagle()
    theirs = deep.embed(torch.arange(public.VOCAB)).clone()
    copied = load_heads(
        public.write(tmp_path / "copy", (config, {**tensors, "embed_tokens.weight": theirs.bfloat16()})),
        deep,
        kind="eagle",
    )
    assert "embed_tokens.weight" not in copied.tensors
    own = (config, {**tensors, "embed_tokens.weight": 1.2 * theirs})
    heads = load_heads(public.write(tmp_path / "own", own), deep, kind="eagle")
    with torch.no_grad():
        laws = reference(own, deep, IDS, 3)
    assert_drafts(EagleDrafter(heads, deep, TREES["dyspec"](), size=12), deep, IDS, laws)


def test_pickles_are_read_only_where_the_card_allows_them(deep, tmp_path):
    folder = public.write(tmp_path, public.eagle(), file="pytorch_model.bin")
    with pytest.raises(RunError, match=r"PTG606.*only pytorch_model\.bin[\s\S]*model\.allow_pickle=true"):
        load_heads(folder, deep, kind="eagle")
    trusting = load_model(deep.card.model_copy(update={"allow_pickle": True}))
    assert load_heads(folder, trusting, kind="eagle").layout.joined
    torch.save({"fc.weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(RunError, match=r"PTG622.*pytorch_model\.bin: Weights only load failed"):
        load_heads(folder, trusting, kind="eagle")


class Trap:
    """What a pickle could do to whoever loads it."""

    def __reduce__(self):
        return (print, ("the trap has run",))


def changed(made, *, drop=(), config=None, **tensors):
    settings, held = made
    kept = {name: one for name, one in held.items() if name not in drop}
    return {**settings, **(config or {})}, {**kept, **tensors}


def cut(made, name, rows):
    return changed(made, **{name: made[1][name][:rows].clone()})


DAMAGES = [
    ("medusa", changed(public.medusa(), drop=["1.0.linear.bias"]), "no tensor '1.0.linear.bias'"),
    ("medusa", cut(public.medusa(), "1.0.linear.bias", 3), r"'1.0.linear.bias' is \[3\], and its configuration says"),
    ("medusa", changed(public.medusa(), config={"medusa_num_heads": 5}), "it has 3 heads, and config.json says 5"),
    ("medusa", changed(public.medusa(), config={"medusa_num_layers": 2}), r"no matrix '0\.2\.weight'"),
    ("medusa", changed(public.medusa(), config={"medusa_num_layers": "x"}), "medusa_num_layers is 'x'"),
    ("eagle", changed(public.eagle(), drop=["fc.bias"]), "no tensor 'fc.bias'"),
    ("eagle", changed(public.eagle(), config={"bias": False}), "a tensor 'fc.bias', which no head of this format has"),
    ("eagle", cut(public.eagle(), "layers.0.mlp.down_proj.weight", 4), r"'layers.0.mlp.down_proj.weight' is \[4, 24\]"),
    ("eagle", changed(public.eagle(), config={"num_hidden_layers": 2}), "2 decoder layers, and not one"),
    ("eagle", changed(public.eagle(), config={"hidden_act": "gelu"}), "activation 'gelu', and not 'silu'"),
    ("eagle", changed(public.eagle(), config={"num_attention_heads": "x"}), "config.json: .*num_attention_heads|int"),
    (
        "eagle",
        changed(public.eagle(), config={"rope_scaling": {"type": "dynamic", "factor": 2.0}}),
        "follows the longest text",
    ),
    ("eagle", changed(public.eagle(), **{"layers.1.mlp.up_proj.weight": torch.zeros(1)}), "'layers.1.mlp.up_proj"),
    ("eagle", changed(public.eagle3(taps=TAPS), drop=["d2t"]), "'d2t' does not say which"),
    ("eagle", changed(public.eagle3(taps=TAPS), d2t=public.OFFSETS + 500), "tokens that the model does not have"),
    ("eagle", changed(public.eagle3(taps=TAPS), d2t=public.OFFSETS + 1), "'d2t' and 't2d' name different tokens"),
    ("eagle", changed(public.eagle3(taps=TAPS), drop=["lm_head.weight"]), "no tensor 'lm_head.weight'"),
    ("eagle", public.eagle3(taps=[1, 2]), r"is \[1, 2\], and not three layers"),
    ("eagle", public.speculators("eagle", layernorms=True), "asks for layernorms"),
    ("eagle", public.speculators("dflash"), "speculators_model_type is 'dflash'"),
    ("eagle", ({"model_type": "bert"}, {}), "none of the formats that can be read"),
]


@pytest.mark.parametrize(("kind", "made", "words"), DAMAGES, ids=[words for _, _, words in DAMAGES])
def test_what_is_damaged_or_unknown_is_told(kind, made, words, deep, tmp_path):
    file = "medusa_lm_head.safetensors" if kind == "medusa" else "model.safetensors"
    with pytest.raises(RunError, match=f"PTG622.*({words})"):
        load_heads(public.write(tmp_path, made, file=file), deep, kind=kind)


def wide(made, name):
    return changed(made, **{name: torch.zeros(public.HIDDEN, 3 * public.HIDDEN)})


MISFITS = [
    ("medusa", public.eagle(), "kind", "medusa", "eagle"),
    ("eagle", public.medusa(), "kind", "eagle", "medusa"),
    ("eagle", changed(public.eagle(), config={"hidden_size": 24}), "hidden size", r"16 \(deep\)", r"24 \(a model that"),
    ("eagle", changed(public.eagle(), config={"vocab_size": 300}), "vocabulary", r"271 \(deep\)", "300"),
    (
        "eagle",
        changed(public.speculators("eagle3", taps=TAPS), config={"target_hidden_size": 32}),
        "hidden size",
        r"16 \(deep\)",
        r"32 \(someone/tiny\)",
    ),
    ("medusa", changed(public.medusa(), **{"0.1.weight": torch.zeros(99, 16)}), "vocabulary", "271", "99"),
    ("eagle", wide(public.eagle(), "fc.weight"), "input of 'fc'", "2 x 16.*embedding, then", "3 x 16.*low, middle"),
    (
        "eagle",
        changed(public.eagle3(taps=TAPS), **{"fc.weight": torch.zeros(16, 32)}),
        "input of 'fc'",
        "3 x 16.*low, middle and high",
        "2 x 16.*embedding, then",
    ),
    ("eagle", public.eagle3(taps=[5, 2, 0]), "choice of layers", "in this order", r"\[5, 2, 0\]"),
    ("eagle", public.eagle3(taps=[2, 3, 7]), "choice of layers", "high one of 7", r"\[2, 3, 7\]"),
]


@pytest.mark.parametrize(
    ("kind", "made", "what", "want", "have"), MISFITS, ids=[f"{one[0]} {one[2]} {one[4]}" for one in MISFITS]
)
def test_what_does_not_fit_is_told_with_both_sides(kind, made, what, want, have, deep, tmp_path):
    file = "medusa_lm_head.safetensors" if kind == "medusa" else "model.safetensors"
    with pytest.raises(RunError, match=rf"PTG621.*their {what} is another[\s\S]*have: .*{have}[\s\S]*want: .*{want}"):
        load_heads(public.write(tmp_path, made, file=file), deep, kind=kind)


def test_which_layers_eagle3_reads_where_nothing_is_said(deep, tmp_path):
    config, tensors = public.eagle3(taps=TAPS)
    del config["eagle_config"]
    heads = load_heads(public.write(tmp_path, (config, tensors)), deep, kind="eagle")
    assert heads.config.taps == (2, 3, 4), "N // 2 and N - 3 of seven layers"
    tiny = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
    with pytest.raises(RunError, match=r"PTG621.*choice of layers[\s\S]*\[2, 1, -1\]"):
        load_heads(tmp_path, tiny, kind="eagle")


def test_a_folder_of_shards_is_read_whole(deep, tmp_path):
    config, tensors = public.eagle()
    names = sorted(tensors)
    for at, part in enumerate((names[:4], names[4:])):
        public.write(
            tmp_path, (config, {name: tensors[name] for name in part}), file=f"model-{at + 1}-of-2.safetensors"
        )
    assert load_heads(tmp_path, deep, kind="eagle").tensors.keys() >= {"fc.weight", "midlayer.mlp.up_proj.weight"}


def test_no_weights_and_no_json_are_told(deep, tmp_path):
    folder = public.write(tmp_path, public.eagle())
    (folder / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"PTG622.*no \*\.safetensors"):
        load_heads(folder, deep, kind="eagle")
    (folder / "config.json").write_text(json.dumps([1]))
    with pytest.raises(RunError, match=r"PTG622.*config\.json is no JSON object"):
        load_heads(folder, deep, kind="eagle")

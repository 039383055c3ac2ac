"""Public masked models by recipe: a folder in their format, run through the public functions, against a plain loop."""

import pytest
import torch

from ptgflow import load_recipe
from ptgflow.cli.main import main
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Result
from tests.engine.canvas.gemma_networks import noisy_logits, tiny_gemma
from tests.engine.canvas.masked_networks import sees
from tests.engine.canvas.plain_dit import PlainDiT
from tests.engine.canvas.public_folders import FAMILIES, MASK, WORDS, tiny_tokenizer

PROMPTS = ("Tell me about ducks.", "Why?", "Name the capital of the largest country in the south.")
END = 1
TAU = 0.1
"""Low enough that some rounds write several places."""
each_family = pytest.mark.parametrize("name", FAMILIES)
BLOCK_CAUSAL = [name for name, family in FAMILIES.items() if family.conventions.attention == "block_causal"]
BIDIRECTIONAL = [name for name in FAMILIES if name not in BLOCK_CAUSAL]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Of each family its folder, and a network with the same weights."""
    root = tmp_path_factory.mktemp("public")
    return {name: (root / name, family.folder(root / name)) for name, family in FAMILIES.items()}


MODELS = {}
"""Each is loaded once."""


def loaded(name, written, *more, recipe="masked", tokens=14):
    card = (f"model.source={written[name][0]}", "model.dtype=float32", *FAMILIES[name].overrides)
    return load_recipe(recipe, [*card, "chat=false", f"max_tokens={tokens}", *more], models=MODELS)


def filled(plan, prompts=PROMPTS):
    """What becomes of requests that share their passes."""
    found = list(plan.run_many([Ask(id=at, prompt=text) for at, text in enumerate(prompts)]))
    results = sorted((one for one in found if isinstance(one, Result)), key=lambda one: one.id)
    assert [one.error for one in results] == [None] * len(prompts)
    return [one.token_ids for one in results]


def prompt_of(plan, text):
    return plan.executor.target.codec.prompt((), text=text, chat=False).token_ids


def plain_logits(conventions, network, prompt, canvas):
    """Of every place of a canvas, from one pass over the whole text; None is a hole."""
    text = [*prompt, *(MASK if token is None else token for token in canvas)]
    places = range(len(text))
    visible = torch.tensor([[sees(conventions, len(prompt), asking, seen) for seen in places] for asking in places])
    if isinstance(network, PlainDiT):
        logits = network(torch.tensor(text), visible)
    else:
        added = torch.zeros(visible.shape).masked_fill(~visible, -1e30)
        logits = network(torch.tensor([text]), attention_mask=added[None, None]).logits[0]
    if conventions.shifted:
        logits = torch.cat([logits[:1], logits[:-1]])
    logits[:, MASK] = -torch.inf
    return logits[len(prompt) :]


def aligned_blocks(conventions, prompt, size, length):
    """The canvas in blocks; of a model whose blocks are counted from the prompt, cut where those are cut."""
    begin = -(prompt % length) if conventions.attention == "block_causal" else 0
    cuts = [max(begin, 0), *range(begin + length, size, length), size]
    return [range(one, two) for one, two in zip(cuts, cuts[1:], strict=False)]


def plainly_filled(logits_of, blocks, size):
    """Threshold with surest progress, one row; up to the first end token."""
    canvas, several = [None] * size, False
    for block in blocks:
        while holes := [place for place in block if canvas[place] is None]:
            best, token = logits_of(canvas, block)[holes].softmax(dim=-1).max(dim=-1)
            sure = [at for at in range(len(holes)) if best[at] >= TAU or at == int(best.argmax())]
            several |= len(sure) > 1
            for at in sure:
                canvas[holes[at]] = int(token[at])
    return tuple(canvas[: canvas.index(END)] if END in canvas else canvas), several


def expected(name, written, plan, size, length):
    conventions, network = FAMILIES[name].conventions, written[name][1]
    rows = []
    for prompt in (prompt_of(plan, text) for text in PROMPTS):
        blocks = aligned_blocks(conventions, len(prompt), size, length)

        def logits_of(canvas, block, prompt=prompt):
            del block
            return plain_logits(conventions, network, prompt, canvas)

        rows.append(plainly_filled(logits_of, blocks, size))
    return [tokens for tokens, _ in rows], any(several for _, several in rows)


@each_family
def test_a_checkpoint_is_filled_as_the_plain_loop_fills_it(name, written):
    """Three rows of different lengths at once, in the blocks of its training."""
    plan = loaded(name, written, f"stages.fill.threshold={TAU}")
    assert plan.executor.target.holes.model_dump(exclude={"end_ids"}) == FAMILIES[name].conventions.model_dump(
        exclude={"end_ids"}
    )
    texts, several = expected(name, written, plan, 14, FAMILIES[name].conventions.block_length or 14)
    assert filled(plan) == texts
    assert several
    assert len({token for text in texts for token in text}) > 3  # Else any model would do.


@pytest.mark.parametrize("name", BIDIRECTIONAL)
def test_blocks_of_another_length_are_those_of_the_plain_loop(name, written):
    plan = loaded(name, written, f"stages.fill.threshold={TAU}", "stages.fill.block_length=5")
    assert filled(plan) == expected(name, written, plan, 14, 5)[0]


@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_blocks_may_be_worked_on_in_parts(name, written):
    plan = loaded(name, written, f"stages.fill.threshold={TAU}", "stages.fill.block_length=2")
    assert filled(plan) == expected(name, written, plan, 14, 2)[0]


@pytest.mark.parametrize("selector", ["topk", "maskgit", "tau_leaping"])
@pytest.mark.parametrize("name", ["llada", "sdar"])
def test_rows_are_what_each_is_alone(name, selector, written):
    plan = loaded(
        name,
        written,
        f"stage@stages.fill=masked/{selector}",
        *(("stages.fill.steps=3",) if selector in ("maskgit", "tau_leaping") else ()),
        "temperature=1.0",
    )
    assert filled(plan) == [filled(plan, [text])[0] for text in PROMPTS]


@pytest.mark.parametrize("cache", ["prefix", "dual", "dkv", "dllm"])
@pytest.mark.parametrize("name", ["sdar", "fast_dllm_v2"])
def test_what_a_block_causal_model_keeps_changes_nothing(name, cache, written):
    plan = loaded(name, written, f"stages.fill.threshold={TAU}", f"stages.fill.cache={cache}")
    assert filled(plan) == expected(name, written, plan, 14, 4)[0]


def test_each_cache_of_a_bidirectional_model_approximates_in_its_own_way(written):
    texts = {
        cache: tuple(filled(loaded("llada", written, f"stages.fill.cache={cache}", "stages.fill.block_length=5")))
        for cache in ("none", "prefix", "dual", "dkv", "dllm")
    }
    assert len(set(texts.values())) == len(texts)


@each_family
def test_one_shot_is_the_likeliest_token_of_each_place(name, written):
    plan = loaded(name, written, "stages.draft.places=6", recipe="oneshot")
    for text, found in zip(PROMPTS, filled(plan), strict=True):
        logits = plain_logits(FAMILIES[name].conventions, written[name][1], prompt_of(plan, text), [None] * 6)
        likeliest = logits.argmax(dim=-1).tolist()
        assert list(found) == (likeliest[: likeliest.index(END)] if END in likeliest else likeliest)


@pytest.mark.parametrize("name", ["llada", "sdar", "mdlm"])
def test_a_canvas_keeps_what_is_given(name, written):
    result = loaded(name, written).run(canvas="Ducks [MASK][MASK] swim.")
    assert result.error is None
    assert result.origin.count("fill") == 2
    codec = tiny_tokenizer()
    (begin, end) = (codec.encode(words) for words in ("Ducks ", " swim."))
    assert list(result.token_ids[: len(begin)]) == begin
    assert list(result.token_ids[-len(end) :]) == end
    assert MASK not in result.token_ids


def test_the_command_line_runs_one(written, capsys):
    folder, _ = written["llada"]
    code = main(
        ["run", "recipe=masked", f"model.source={folder}", "max_tokens=9", "prompt=Why?", "model.dtype=float32"]
    )
    said = capsys.readouterr()
    assert code == 0, said.err
    assert said.out == loaded("llada", written, "chat=true", tokens=9).run("Why?").text + "\n"
    assert "PTG" not in said.err


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gemma")
    network = tiny_gemma(WORDS)
    network.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder, network


def test_diffusion_gemma_is_filled_as_transformers_would_fill_it(gemma):
    folder, network = gemma
    overrides = [f"model.source={folder}", "model.dtype=float32", "chat=false", "max_tokens=11"]
    plan = load_recipe("masked", [*overrides, f"stages.fill.threshold={TAU}"])
    texts = []
    for prompt in (prompt_of(plan, text) for text in PROMPTS):
        state = {"block": None, "said": None, "passes": 0}

        def logits_of(canvas, block, prompt=prompt, state=state):
            if state["block"] != block:
                state |= {"block": block, "said": None}
            state["said"] = noisy_logits(network, prompt, canvas, block, state["said"], state["passes"], seed=0)
            state["passes"] += 1
            return torch.cat([torch.zeros(block.start, WORDS), state["said"][0]])

        texts.append(plainly_filled(logits_of, [range(8), range(8, 11)], 11)[0])
    assert filled(plan) == texts
    assert len({token for text in texts for token in text}) > 3


def test_one_shot_of_diffusion_gemma_is_its_first_pass(gemma):
    folder, network = gemma
    plan = load_recipe(
        "oneshot", [f"model.source={folder}", "model.dtype=float32", "chat=false", "stages.draft.places=5"]
    )
    prompt = prompt_of(plan, PROMPTS[0])
    likeliest = noisy_logits(network, prompt, [None] * 5, range(5), None, 0, seed=0)[0].argmax(dim=-1).tolist()
    assert filled(plan, PROMPTS[:1]) == [tuple(likeliest[: likeliest.index(END)] if END in likeliest else likeliest)]

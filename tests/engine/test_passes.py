"""Both passes, written out and transformers', against a plain call of the network, for every family."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from ptgflow.engine.passes.linear import Int8Linear, PackedLinear, PlainLinear, can_pack
from ptgflow.engine.passes.precision import head_maker, linear_maker
from ptgflow.engine.passes.transformers_pass import TransformersPass
from ptgflow.engine.passes.written.fixed import FixedPass
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.passes.written.reading import reason_against, written_out
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import EMPTY, TokenTree
from ptgflow.errors import RunError
from tests.engine.families import OTHERS, VOCAB, WRITTEN, random_network

CPU = torch.device("cpu")
TREE = TokenTree((5, 6, 7, 8, 9, 10), (-1, -1, 0, 0, 1, 3))
PROMPTS = ((3, 4, 5), tuple(range(2, 40)), (9,))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def written(network, dtype="float32"):
    makers = linear_maker(dtype, CPU), head_maker(dtype, CPU)
    return WrittenPass(written_out(copy.deepcopy(network), *makers, torch.float32), budget=None)


def fixed(network, record=None):
    makers = linear_maker("float32", CPU), head_maker("float32", CPU)
    return FixedPass(written_out(copy.deepcopy(network), *makers, torch.float32), budget=None, record=record)


def traced(step):
    """Record a step as a CUDA graph does: the operators over the tensors of one run, whatever is in these later.

    All that the host decided while it recorded (lengths, shapes, masks that it built) is baked in, and would be wrong
    in the next pass.
    """
    nothing = torch.zeros(1)
    graph = make_fx(lambda _: step())(nothing)
    RECORDED.append(graph)
    return lambda: graph(nothing)


RECORDED = []


TAPS = (2, 0, 3)


def hidden(network, context):
    """Hidden states of the last token of a text at the taps, of the network alone."""
    found = network(torch.tensor([context]), use_cache=False, output_hidden_states=True).hidden_states
    return torch.cat([found[tap][0, -1] for tap in TAPS])


def plain(network, context):
    """Logits after a text, of the network alone."""
    return network(torch.tensor([context]), use_cache=False).logits[0, -1]


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        *((name, kind) for name in WRITTEN for kind in ("written", "fixed", "recorded")),
        *((name, "transformers") for name in WRITTEN | OTHERS),
    ],
)
def test_rows_with_trees_have_the_logits_of_their_paths_beyond_the_window(family, kind):
    """Rows of different lengths; trees beside chains; accepted paths that move; one row that was forked."""
    network = random_network(family)
    makers = {
        "written": lambda: written(network),
        "fixed": lambda: fixed(network),
        "recorded": lambda: fixed(network, traced),
        "transformers": lambda: TransformersPass(network, family, budget=None),
    }
    RECORDED.clear()
    run = makers[kind]()
    rows = [run.cache.admit() for _ in PROMPTS]
    texts = {}

    def feed(inputs, kept):
        tapped = run.tapped(inputs, TAPS)
        logits, states = tapped.logits, iter(tapped.states)
        at = 0
        for one in inputs:
            text = texts.get(one.row, []) + list(one.tokens)
            for node in range(-1, len(one.tree)):
                path = [one.tree.tokens[step] for step in one.tree.path(node)]
                for back in range(len(one.tokens) if node < 0 else 1, 0, -1):
                    seen = hidden(network, (text + path)[: len(text) + len(path) + 1 - back])
                    torch.testing.assert_close(next(states), seen, atol=2e-5, rtol=1e-4)
                expected = plain(network, text + path)
                torch.testing.assert_close(logits[at], expected, atol=2e-5, rtol=1e-4)
                at += 1
            offsets = kept(one)
            ids = [*one.tokens, *one.tree.tokens]
            texts[one.row] = texts.get(one.row, []) + [ids[offset] for offset in offsets]
        assert at == len(logits)
        run.cache.commit({one.row: kept(one) for one in inputs})
        run.cache.check()

    feed(
        [RowInput(row=row, tokens=prompt) for row, prompt in zip(rows, PROMPTS, strict=True)],
        lambda one: range(len(one.tokens)),
    )
    rows.append(run.cache.fork(rows[1], 20))
    texts[rows[-1]] = texts[rows[1]][:20]
    for turn in range(5):
        widths = [TREE if (row + turn) % 3 == 0 else TokenTree.chain((11, 12, 13)[: (row + turn) % 4]) for row in rows]
        feed(
            [RowInput(row=row, tokens=(20 + turn,), tree=tree) for row, tree in zip(rows, widths, strict=True)],
            lambda one: (0, *(1 + step for step in one.tree.path(len(one.tree) - 1))) if one.row % 2 else (0,),
        )
    assert bool(RECORDED) == (kind == "recorded")


@pytest.mark.parametrize("kind", ["written", "fixed", "transformers"])
@pytest.mark.parametrize("family", WRITTEN)
def test_a_tree_that_grows_level_by_level_is_the_tree_at_once(family, kind):
    network = random_network(family)
    makers = {
        "written": written,
        "fixed": fixed,
        "transformers": lambda one: TransformersPass(one, family, budget=None),
    }
    run = makers[kind](network)
    rows = [run.cache.admit() for _ in PROMPTS]
    inputs = [RowInput(row=row, tokens=prompt, tree=TREE) for row, prompt in zip(rows, PROMPTS, strict=True)]
    at_once = run.tapped(inputs, TAPS)
    lines = iter(at_once.logits.split([1 + len(TREE) for _ in rows]))
    states = iter(at_once.states.split([len(one.tokens) + len(TREE) for one in inputs]))
    expected = {row: (next(lines), next(states)) for row in rows}
    found = {row: ([], []) for row in rows}
    done = dict.fromkeys(rows, 0)
    # Rows do not grow in step: the second one stands still while the others get their middle levels.
    for sizes in [(0, 0, 0), (2, None, 1), (3, None, 4), (len(TREE),) * 3]:
        level = []
        for one, size in zip(inputs, sizes, strict=False):
            if size is not None:
                grown = TokenTree(TREE.tokens[:size], TREE.parents[:size])
                level.append(RowInput(row=one.row, tokens=one.tokens, tree=grown, again=done[one.row]))
                done[one.row] = len(one.tokens) + size
        tapped = run.tapped(level, TAPS)
        new = [len(one.tokens) + len(one.tree) - one.again for one in level]
        told = [len(one.tree) + 1 if not one.again else count for one, count in zip(level, new, strict=True)]
        for one, logits, seen in zip(level, tapped.logits.split(told), tapped.states.split(new), strict=True):
            found[one.row][0].append(logits)
            found[one.row][1].append(seen)
    for row in rows[: len(inputs)]:
        if done[row]:
            for parts, whole in zip(found[row], expected[row], strict=True):
                torch.testing.assert_close(torch.cat(parts), whole, atol=2e-5, rtol=1e-4)
    run.cache.check()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 60), max_size=5, unique=True), alone=st.booleans())
def test_a_prompt_in_chunks_and_beside_others_is_the_prompt_at_once(cuts, alone):
    text = tuple((7 * at) % VOCAB for at in range(61))
    run = RUN
    row, other = run.cache.admit(), run.cache.admit()
    logits = run([RowInput(row=row, tokens=text)])[0]
    run.cache.free(row)
    row, start = run.cache.admit(), 0
    for end in [*sorted(cuts), 61]:
        inputs = [RowInput(row=row, tokens=text[start:end], wanted=end == 61)]
        if not alone:
            inputs.insert(0, RowInput(row=other, tokens=(3,), tree=TREE))
        found = run(inputs)
        run.cache.commit({row: range(end - start)})
        start = end
    run.cache.free(row)
    run.cache.free(other)
    torch.testing.assert_close(found[-1], logits, atol=1e-5, rtol=1e-5)


RUN = written(random_network("gemma3"))


def test_a_pass_without_a_wanted_line_gives_none():
    row = RUN.cache.admit()
    assert RUN([RowInput(row=row, tokens=(3, 4), wanted=False)]).shape == (0, VOCAB)
    RUN.cache.free(row)


@pytest.mark.parametrize("family", OTHERS)
def test_what_is_not_written_out_says_why(family):
    assert reason_against(random_network(family)) is not None


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
@pytest.mark.parametrize("run", [written, lambda network: TransformersPass(network, "llama", budget=None)])
def test_rotary_embeddings_that_follow_the_batch_are_refused(kind, run):
    network = random_network("llama")
    network.config.rope_parameters = {"rope_type": kind, "rope_theta": 1000.0, "factor": 2.0}
    with pytest.raises(RunError, match=f"PTG608.*{kind}"):
        run(network)


def test_other_kinds_of_attention_are_refused():
    network = random_network("llama")
    network.config.layer_types = ["chunked_attention"]
    with pytest.raises(RunError, match="PTG608.*chunked_attention"):
        TransformersPass(network, "llama", budget=None)
    network = random_network("llama")
    network.config._attn_implementation = "flex_attention"
    with pytest.raises(RunError, match="PTG608.*flex_attention"):
        TransformersPass(network, "llama", budget=None)


def products(dtype):
    kinds = {
        "plain": lambda weight, bias: PlainLinear(weight.to(dtype), None if bias is None else bias.to(dtype)),
        "packed": lambda weight, bias: PackedLinear(weight, bias, dtype),
    }
    return kinds if can_pack(CPU) else {"plain": kinds["plain"]}


@pytest.mark.parametrize("tokens", [1, 2, 7, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_those_of_the_weights(tokens, dtype):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(24, 16), torch.randn(24), torch.randn(tokens, 16)
    for make in products(dtype).values():
        for with_bias in (None, bias):
            found = make(weight, with_bias)(x)
            expected = x.double() @ weight.double().T + (0 if with_bias is None else bias.double())
            assert found.dtype == torch.float32
            torch.testing.assert_close(
                found.double(),
                expected,
                **({"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.1, "rtol": 0.02}),
            )


@pytest.mark.parametrize("tokens", [1, 5, 16, 17, 40])
def test_int8_weights_are_off_by_no_more_than_their_steps(tokens):
    torch.manual_seed(0)
    weight, bias = torch.randn(32, 64) * torch.logspace(-3, 3, 32)[:, None], torch.randn(32)
    x = torch.randn(tokens, 64).bfloat16().float()  # as the kernel reads them
    found = Int8Linear(weight, bias)(x).double()
    expected = (x @ weight.T + bias).double()
    # Half a step a weight (the scale itself is rounded to 8 bits), and the result is rounded to 8 bits.
    step = weight.abs().amax(dim=1).double() / 127
    bound = 0.6 * step * x.abs().sum(dim=1, keepdim=True).double() + 2**-7 * (expected.abs() + bias.abs())
    assert ((found - expected).abs() <= bound).all()
    assert Int8Linear(weight, None).nbytes == 32 * 64 + 32 * 2


def test_a_token_has_the_same_logits_alone_and_among_others_to_the_last_bit():
    """As the packed products and the padded attention have it, the batch does not touch a row's rounding."""
    if not can_pack(CPU):
        pytest.skip("there is no packed product here")
    for dtype in ("float32", "bfloat16"):
        run = written(random_network("llama"), dtype)
        one, many = run.cache.admit(), [run.cache.admit() for _ in range(5)]
        text = (5, 6, 7, 8)
        for row in (one, *many):
            run([RowInput(row=row, tokens=text, wanted=False)])
            run.cache.commit({row: range(4)})
        alone = run([RowInput(row=one, tokens=(9,))])[0]
        beside = run([RowInput(row=row, tokens=(9,), tree=TREE if row == many[0] else EMPTY) for row in (one, *many)])
        assert torch.equal(alone, beside[0])
        assert torch.equal(alone, beside[1])

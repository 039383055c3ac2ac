"""What the form of a skeleton foretells."""

import pytest

from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.stages.decompose.plan_drafter import PlanForm
from ptgflow.stages.decompose.prompts import point_request

CODEC = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")).codec


def drafted(answer, limit=8):
    prompt = CODEC.encode("Points of an answer, 1. to 9.: 1.")
    drafter = PlanForm(codec=CODEC, prompt=len(prompt), prefix="1.")
    tree = drafter.propose((*prompt, *CODEC.encode(answer)), limit).tree
    assert len(tree) <= limit
    assert list(tree.parents) == list(range(-1, len(tree) - 1)), "a chain"
    return CODEC.decode(tree.tokens)


@pytest.mark.parametrize(
    ("answer", "draft"),
    [
        ("", ""),
        (" Sleep", ""),
        (" Sleep well", "\n2."),
        (" Sleep well\n", "2."),
        (" Sleep well\n2. Eat", ""),
        (" Sleep well\n2. Eat well", "\n3."),
        (" Sleep well.\n2. Eat", ""),
        (" Sleep well.\n2. Eat well", ".\n3."),
        (" Sleep well.\n2. Eat well.", "\n3."),
        (" Sleep well\n\n2. Eat well\n", "\n3."),
        (" a b\n2. c d\n3. e f\n4. g h\n5. i j\n6. k l\n7. m n\n8. o p\n9. q r", "\n10."),
    ],
)
def test_behind_a_heading_comes_the_next_number(answer, draft):
    assert drafted(answer) == draft


def test_no_more_than_the_limit():
    assert drafted(" Sleep well.\n2. Eat well", limit=1) == "."
    assert drafted(" Sleep well", limit=0) == ""


@pytest.mark.parametrize(
    ("sentences", "words"),
    [(1, "in one sentence."), (2, "in one or two sentences."), (12, "in eleven or twelve sentences.")],
)
def test_how_long_a_point_is_to_be(sentences, words):
    assert point_request("Why?", ("a", "b"), 2, sentences).endswith(f"Write point 2 of the answer, {words}")

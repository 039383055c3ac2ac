"""Options of sampling, from a recipe, a command line and keywords to what the engine is given."""

import math
import re
from pathlib import Path

import pytest

from ptgflow.api import compile, load_recipe
from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics import Report
from ptgflow.dsl import DraftVerify
from ptgflow.errors import RecipeError
from ptgflow.recipe.load import load

FLOW = "stages:\n  write: {paradigm: draft_verify, drafter: ngram, k: 2}\nflow: write\n"


def sampled(*overrides, recipe="draft_verify"):
    report = Report()
    loaded = load([f"recipe={recipe}", "model=tiny", *overrides], report=report)
    assert loaded is not None
    assert not list(report), [str(one) for one in report]
    return loaded.spec.generation.sampling


def test_nothing_is_changed_unless_asked():
    sampling = sampled()
    assert sampling == Sampling()
    assert (sampling.presence_penalty, sampling.logit_bias, sampling.logprobs) == (0.0, (), None)


def test_every_option_of_sampling_goes_through_a_recipe():
    """Each with a value that is not its default, and no option left out."""
    given = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "presence_penalty": -0.5,
        "logit_bias": {7: -5, 123: 2.5},
        "logprobs": 3,
        "seed": 9,
    }
    assert set(given) == set(Sampling.model_fields)
    typed = [f"{name}={value}".replace(" ", "") for name, value in given.items()]
    sampling = sampled(*typed)
    assert sampling == Sampling(**given)
    assert all(getattr(sampling, name) != getattr(Sampling(), name) for name in given)


def test_the_documentation_lists_every_option_with_its_default():
    page = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]+\| ([\w.]+) \|", page, flags=re.MULTILINE))
    defaults = {name: getattr(Sampling(), name) for name in Sampling.model_fields}
    assert rows == {
        name: "all" if name == "top_k" else f"{value:g}" if isinstance(value, int | float) else "none"
        for name, value in defaults.items()
    }


def test_a_bias_on_the_command_line():
    assert sampled("logit_bias={123:-5}").logit_bias == ((123, -5.0),)
    assert sampled("logit_bias={9:1.5,4:-100}").logit_bias == ((4, -100.0), (9, 1.5))
    assert sampled("logit_bias=null").logit_bias == ()


def test_a_bias_in_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"{FLOW}logit_bias: {{5: 2.5, '70': -1}}\npresence_penalty: 0.5\nlogprobs: 0\n")
    sampling = sampled(recipe=path)
    assert sampling.logit_bias == ((5, 2.5), (70, -1.0))
    assert sampling.presence_penalty == 0.5
    assert sampling.logprobs == 0
    assert sampled("logit_bias={5:1}", recipe=path).logit_bias == ((5, 1.0), (70, -1.0))
    assert sampled("+logit_bias={8:1}", recipe=path).logit_bias == ((5, 2.5), (8, 1.0), (70, -1.0))
    assert sampled("logit_bias=null", recipe=path).logit_bias == ()


def test_options_from_keywords():
    plan = compile(DraftVerify(), model="tiny", logit_bias={"3": 4}, presence_penalty=1, logprobs=20)
    assert plan.generation.sampling == Sampling(logit_bias={3: 4.0}, presence_penalty=1.0, logprobs=20)
    with pytest.raises(RecipeError, match=r"logit_bias cannot be .*token id"):
        compile(DraftVerify(), model="tiny", logit_bias={"a": 4})


def test_pairs_are_in_order_hashable_and_come_back_as_they_were():
    sampling = Sampling(logit_bias={"30": 1, 4: -2, 5: 0})
    assert sampling.logit_bias == ((4, -2.0), (5, 0.0), (30, 1.0))
    assert hash(sampling) == hash(Sampling(logit_bias=[(5, 0.0), (30, 1), (4, -2)]))
    assert Sampling.model_validate(sampling.model_dump()) == sampling
    assert Sampling.model_validate_json(sampling.model_dump_json()) == sampling


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        ({-1: 1.0}, "-1"),
        ({True: 1.0}, "True"),
        ({1.5: 1.0}, "1.5"),
        ({"x": 1.0}, "'x'"),
        ({"-3": 1.0}, "'-3'"),
        ({"٣": 1.0}, "'٣'"),
        ({5: 100.5}, "100.5, that of token 5"),
        ({5: -101}, "-101, that of token 5"),
        ({5: math.nan}, "nan, that of token 5"),
        ({5: -math.inf}, "-inf, that of token 5"),
        ({5: "much"}, "'much', that of token 5"),
        ({5: True}, "True, that of token 5"),
        ({5: 1.0, "5": 2.0}, "token 5 is given twice"),
        ([(1, 2.0, 3)], "it maps token ids to biases"),
        ([1], "it maps token ids to biases"),
        ("5", "it maps token ids to biases"),
        (5, "it maps token ids to biases"),
    ],
)
def test_a_bias_that_is_none_says_why(bias, words):
    with pytest.raises(ValueError, match="logit_bias") as caught:
        Sampling(logit_bias=bias)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("presence_penalty=101", "less than or equal to 100"),
        ("presence_penalty=-101", "greater than or equal to -100"),
        ("logprobs=21", "less than or equal to 20"),
        ("logprobs=-1", "greater than or equal to 0"),
        ("logprobs=1.5", "logprobs"),
        ("logit_bias={123:-500}", "-500, that of token 123"),
        ("logit_bias={a:1}", "'a'"),
        ("logit_bias=4", "{TOKEN_ID: BIAS, ...}"),
    ],
)
def test_a_value_out_of_range_is_one_finding_with_its_place(override, words):
    with pytest.raises(RecipeError) as caught:
        load_recipe("draft_verify", ["model=tiny", override])
    [found] = caught.value.findings
    assert found.code == "PTG008"
    assert words in str(found)
    assert override in str(found)

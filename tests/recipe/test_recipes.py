"""Recipes: what ships compiles; files, overrides, swaps and a person's own folder do what they say."""

from pathlib import Path

import pytest
import yaml

from ptgflow.api import load_recipe
from ptgflow.contracts import PARADIGMS
from ptgflow.diagnostics import Report
from ptgflow.errors import RecipeError
from ptgflow.recipe.cards import card_facts, shipped_cards
from ptgflow.recipe.load import load
from ptgflow.recipe.overrides import parse
from ptgflow.recipe.recipe_file import SHIPPED, find_recipe, shipped_choices

PROMISED = {
    "ar",
    *("decomp_oneshot_edit", "decomp_mtp_edit", "decomp_masked", "decomp_mtp_edit_dv", "decomp_oneshot"),
    *("oneshot_edit", "masked_edit", "masked_dv", "dv_masked", "mtp_dv", "mtp_edit", "dv_edit"),
    *("decomp_dv", "decomp_mtp", "decomp_edit", "draft_verify", "mtp", "oneshot", "masked", "edit"),
    *("oneshot_masked", "felix_masked"),
}


def rejected(*overrides, config_dir=None, recipe="draft_verify"):
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, ["model=tiny", *overrides], config_dir=config_dir)
    return caught.value


def test_the_promised_recipes_ship():
    assert set(shipped_choices("recipe")) == PROMISED


@pytest.mark.parametrize("name", sorted(PROMISED))
@pytest.mark.parametrize("model", ["tiny", "smollm2-135m"])
def test_every_shipped_recipe_compiles(name, model):
    program = load_recipe(name, [f"model={model}"]).program
    assert program.nodes
    assert program.card.name == model


def test_the_configuration_documents_every_option():
    """`config.yaml` and the schema have the same keys and the same defaults."""
    from ptgflow.recipe.schema import RecipeSpec

    written = yaml.safe_load((SHIPPED / "config.yaml").read_text())
    groups = {"model", "executor", "accelerate", "data"}
    assert set(written) - {"defaults"} == set(RecipeSpec.model_fields) - groups
    spec = load(["model=tiny", "recipe=ar"], report=Report())
    assert spec is not None
    fresh = RecipeSpec(model=spec.spec.model)
    for name in set(RecipeSpec.model_fields) - groups - {"description", "flow", "stages"}:
        assert getattr(spec.spec, name) == getattr(fresh, name), name


def test_an_override_reaches_into_a_slot():
    program = load_recipe("draft_verify", ["model=tiny", "stages.write.k=3"]).program
    assert program.nodes[0].options.model_dump()["k"] == 3


def test_a_method_is_swapped_by_slot():
    program = load_recipe("decomp_dv", ["model=tiny", "stage@stages.write=mtp/eagle", "stages.write.k=2"]).program
    assert [node.method for node in program.nodes] == ["skeleton", "eagle", None]
    assert program.nodes[1].options.model_dump()["k"] == 2


def test_a_recipe_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stages:\n  write: {paradigm: draft_verify, drafter: ngram, k: 2}\nflow: write\nmax_tokens: 7\n")
    plan = load_recipe(str(path), ["model=tiny"])
    assert plan.program.name == "mine"
    assert plan.generation.max_tokens == 7
    assert plan.run("Hello.").metrics.new_tokens <= 7


def test_a_recipe_by_path_may_build_on_shipped_stages(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("defaults:\n  - /stage@stages.w: draft_verify/ar\n  - override /model: tiny\n  - _self_\nflow: w\n")
    assert load_recipe(str(path)).program.card.name == "tiny"


def test_a_folder_of_ones_own(tmp_path):
    (tmp_path / "recipe").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "recipe" / "own.yaml").write_text(
        "# @package _global_\ndefaults:\n  - /stage@stages.w: draft_verify/ar\n  - override /model: mine\n"
        "  - _self_\nflow: w\n"
    )
    (tmp_path / "model" / "mine.yaml").write_text("name: mine\nsource: tiny\ncapabilities: [causal, kv_cache]\n")
    program = load_recipe("own", config_dir=tmp_path).program
    assert program.card.name == "mine"
    assert load_recipe("ar", ["model=tiny"], config_dir=tmp_path).program.name == "ar"


def test_ones_own_file_comes_first_and_says_so(tmp_path):
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "ar.yaml").write_text(
        "# @package _global_\nstages:\n  other: {paradigm: draft_verify, drafter: ar}\nflow: other\n"
    )
    report = Report()
    loaded = load(["recipe=ar", "model=tiny"], config_dir=tmp_path, report=report)
    assert loaded is not None
    assert loaded.spec.flow == "other"
    assert [one.code for one in report] == ["PTG014"]


FIVE = """\
defaults:
  - /stage@stages.draft: oneshot/argmax
  - /stage@stages.fill: masked/threshold
  - _self_
flow: draft >> fill
stages:
  fill: {block_length: 0}
  spare: {paradigm: draft_verify}
guarantee: exactly
colour: red
"""


def test_a_file_with_five_mistakes_reports_all_five(tmp_path):
    path = tmp_path / "five.yaml"
    path.write_text(FIVE)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), ["model=tiny"])
    found = {(one.code, one.at.line) for one in caught.value.findings}
    assert found == {
        ("PTG101", 5),  # Masked after OneShot
        ("PTG008", 7),  # block_length: 0
        ("PTG007", 8),  # a stage that the flow does not use
        ("PTG008", 9),  # guarantee: exactly
        ("PTG004", 10),  # colour
    }


def test_masked_after_one_shot_is_explained(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(FIVE.split("stages:\n")[0])
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), ["model=tiny"])
    [found] = caught.value.findings
    text = str(found)
    assert "'draft'" in text
    assert "'fill'" in text
    assert "leaves Text" in text
    assert "takes Prompt, Canvas or Verified" in text
    assert "nothing is left unresolved" in text
    assert "A.2.1" in text
    # The fix that is offered works.
    flow = found.help.split("flow: ")[1]
    path.write_text(path.read_text().replace("flow: draft >> fill", f"flow: {flow}"))
    spare = {"draft", "fill"} - set(flow.replace(" ", "").split(">>"))
    path.write_text(
        "".join(line for line in path.read_text().splitlines(True) if not any(f".{s}:" in line for s in spare))
    )
    assert load_recipe(str(path), ["model=tiny"]).program


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        (["recipe=draft_verfy"], "PTG001", "draft_verify"),
        (["stage@stages.write=draft_verify/ngrm"], "PTG002", "draft_verify/ngram"),
        (["stage@stages.write=nonsense/ngram"], "PTG002", "draft_verify"),
        (["model=smollm"], "PTG003", "model=smollm2-135m"),
        (["stages.write.model=tinny"], "PTG003", "tiny"),
        (["stages.write.kk=3"], "PTG004", "stages.write.k"),
        (["temprature=1"], "PTG004", "temperature"),
        (["model.sourc=x"], "PTG004", "model.source"),
        (["+stages.write.speed=3"], "PTG004", "choices"),
        (["+colour=red"], "PTG004", "choices"),
        (["flow=write > write"], "PTG010", "quote"),
        (["flow='write > write'"], "PTG005", ">>"),
        (["flow=wrte"], "PTG006", "write"),
        (["temperature=hot"], "PTG008", "temperature"),
        (["temperature=-1"], "PTG008", "greater"),
        (["seed=1.5"], "PTG008", "seed"),
        (["stages.write.k=0"], "PTG008", "stages.write.k=16"),
        (["stages.write.min_ngram=7"], "PTG008", "min_ngram, 7"),
        (["stop=['']"], "PTG008", "stop"),
        (["model.dtype=float8"], "PTG008", "bfloat16"),
        (["nonsense"], "PTG010", "nonsense=VALUE"),
        (["executor=ray2"], "PTG012", "local"),
        (["data=nothing"], "PTG012", "demo"),
        (["guarantee=exact", "temperature=1"], "PTG105", "temperature=0"),
        (["accelerate=exakt"], "PTG012", "accelerate=exact"),
        (["~flow"], "PTG201", "flow: write"),
    ],
)
def test_a_mistake_gives_its_code_and_a_way_out(overrides, code, words):
    error = rejected(*overrides)
    assert code in error.codes, str(error)
    assert words in str(error)
    assert all(one.help for one in error.findings), str(error)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("flow: [unclosed", "PTG009", "bad.yaml:1"),
        ("", "PTG009", "empty"),
        ("- a\n- b\n", "PTG009", "list"),
        ("flow: write\nstages:\n  write:\n    _target_: os.system\n", "PTG011", "_target_"),
        ("flow: write\nstages:\n  write: {paradigm: draftverify}\n", "PTG002", "draft_verify"),
        ("flow: write\nstages: [a]\n", "PTG008", "stages"),
        ("flow: write\nstages:\n  write: {paradigm: draft_verify, k: {a: 1}}\n", "PTG008", "valid integer"),
        ("flow: write >> write\nstages:\n  write: {paradigm: draft_verify}\n", "PTG202", "write_2"),
        ("flow: merge\n", "PTG201", "no stage"),
        ("defaults:\n  - /stage@stages.write: mtp/medussa\n  - _self_\nflow: write\n", "PTG002", "mtp/medusa"),
        ("flow: write\nprompt: ${nowhere}\nstages:\n  write: {paradigm: draft_verify}\n", "PTG008", "nowhere"),
    ],
)
def test_a_bad_file_gives_its_code_and_line(tmp_path, text, code, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), ["model=tiny"])
    assert code in caught.value.codes, str(caught.value)
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xff\xfe\x00flow")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert caught.value.codes[0] == "PTG009"


def test_a_source_without_a_card_starts_from_no_card():
    report = Report()
    loaded = load(["recipe=ar", "model.source=some/folder"], report=report)
    assert loaded is not None
    assert loaded.spec.model.name == "custom"
    assert loaded.spec.model.sha256 is None
    assert loaded.spec.model.capabilities is None


def test_a_checkpoint_on_disk_is_asked_for_its_family(tmp_path):
    import json

    card = shipped_cards().find("tiny").model_copy(update={"source": str(tmp_path), "capabilities": None})
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["T5ForConditionalGeneration"]}))
    assert card_facts(card).capabilities == frozenset()
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 77})
    )
    assert "causal" in card_facts(card).capabilities


@pytest.mark.parametrize(
    "words",
    ["Hello, world (x)?", "What's up?", "a=b", "{x}", "[x", "naïve 😀", "two\nlines", "back\\slash", "it\\'s", "end\\",
     "${seed} is no variable", "100%", " lead ", "null and void", "choice of words"],
)  # fmt: skip
def test_a_request_is_taken_as_it_was_typed(words):
    loaded = load(["recipe=ar", "model=tiny", f"prompt={words}"], report=(report := Report()))
    assert loaded is not None, [str(one) for one in report]
    assert loaded.spec.prompt == words


def test_an_output_may_name_a_variable():
    loaded = load(["recipe=ar", "model=tiny", "seed=7", "output=results_${seed}.jsonl"], report=Report())
    assert loaded is not None
    assert loaded.spec.output == "results_7.jsonl"


def test_places_are_told_by_file_and_line():
    recipe = find_recipe("decomp_mtp_edit", None, Report())
    assert recipe is not None
    located = recipe.locate("stages.write.k")
    assert located is not None
    assert Path(SHIPPED.parent / located.source).name == "decomp_mtp_edit.yaml"
    lines = (SHIPPED / "recipe" / "decomp_mtp_edit.yaml").read_text().splitlines()
    assert "k: 4" in lines[(located.line or 0) - 1]


def test_overrides_are_read_one_by_one():
    report = Report()
    given = parse(["seed=1", "broken", "stages.a.b=2", "[]"], report)
    assert [one.key for one in given] == ["seed", "stages.a.b"]
    assert [one.code for one in report] == ["PTG010", "PTG010"]


def test_every_axis_names_a_method_key():
    for spec in PARADIGMS.values():
        assert spec.axis.isidentifier()

"""Editors as stages: what they are given, what they leave, and what records say of it."""

import pytest

from ptgflow import load_recipe
from ptgflow.diagnostics.codes import RULES
from ptgflow.engine.edit.changes import undone

TEXT = "The capital of France is banana, and it is on the Seine."


def test_locate_revise_puts_right_what_is_plainly_wrong_and_says_what_it_did():
    plan = load_recipe("edit", ["model=smollm2-135m", "model.dtype=float32"])
    result = plan.run(text=TEXT)
    assert result.text == TEXT.replace("banana", "Paris")
    (stage,) = result.metrics.stages
    (segment,) = result.segments
    text = result.text
    edits = segment.stages[0].edits
    assert [change.by for changes in edits for change in changes] == ["locate_revise"]
    for changes in reversed(edits):
        text = undone(text, changes)
    assert text == TEXT
    assert result.record()["segments"][0]["stages"][0]["edits"][0][0]["new"] == " Paris"
    assert set(result.origin) == {"input", "repair"}
    assert stage.rounds == 2


@pytest.mark.parametrize("editor", ["levenshtein", "reposition", "locate_revise"])
def test_the_policies_that_ship_put_right_what_is_plainly_wrong(editor):
    overrides = [f"stage@stages.repair=edit/{editor}", "model=smollm2-135m", "model.dtype=float32"]
    result = load_recipe("edit", [*overrides, "stages.repair.rounds=1"]).run(text=TEXT)
    assert result.text.startswith("The capital of France is Paris, and it is")


def test_a_masked_model_proposes_what_stands_between():
    overrides = ["stages.repair.by=masked", "model=smollm2-135m", "model.dtype=float32"]
    result = load_recipe("edit", overrides).run(text=TEXT)
    (first, *_) = result.segments[0].stages[0].edits
    assert " banana" in [change.old for change in first]
    assert "banana" not in result.text


def test_what_the_model_writes_itself_stays():
    plan = load_recipe("dv_edit", ["model=smollm2-135m", "model.dtype=float32", "max_tokens=40"])
    plain = load_recipe("ar", ["model=smollm2-135m", "model.dtype=float32", "max_tokens=40"])
    prompt = "Why is the sky blue?"
    assert plan.run(prompt).text == plain.run(prompt).text


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("There car is red.", "Their car is red."),
        ("He have went home.", None),
        ("\U0001f600", "\U0001f600"),
        ("\u65e5\u672c\u8a9e\u3067\u3059\u3002", "\u65e5\u672c\u8a9e\u3067\u3059\u3002"),
    ],
)
def test_the_embedded_tagger(text, after):
    pytest.importorskip("onnxruntime")
    plan = load_recipe("edit", ["stage@stages.repair=edit/tagger", "model=tiny"])
    found = plan.run(text=text)
    assert found.text == (after or found.text)
    assert (found.text != text) == (after != text)


def test_a_folder_without_a_tagger_is_told(tmp_path):
    pytest.importorskip("onnxruntime")
    plan = load_recipe("edit", ["stage@stages.repair=edit/tagger", f"stages.repair.tagger={tmp_path}", "model=tiny"])
    found = plan.run(text="a")
    assert found.error_code == "PTG661" in RULES


def test_passages_are_edited_side_by_side():
    text = "\n\n".join(f"The capital of {one} is banana, as everybody knows." for one in ("France", "Italy"))
    plan = load_recipe("decomp_edit", ["model=smollm2-135m", "model.dtype=float32"])
    result = plan.run(text=text)
    assert "banana" not in result.text
    assert "Paris" in result.text
    assert "Rome" in result.text
    assert result.text.count("\n\n") == 1


@pytest.mark.parametrize(
    ("editor", "overrides"),
    [("consistency", []), ("locate_revise", ["stages.repair.weak=1e-12"]), ("tagger", ["stages.repair.rounds=1"])],
)
def test_a_text_of_five_thousand_tokens_is_edited_to_its_end(editor, overrides):
    if editor == "tagger":
        pytest.importorskip("onnxruntime")
    plan = load_recipe("edit", [f"stage@stages.repair=edit/{editor}", "model=tiny", *overrides])
    codec = plan.executor.target.codec
    words = [f"Bird number {at} sits on a roof and sings." for at in range(160)]
    text = " ".join([*words, "Bird number 3 sits on a roof and sings.", "There car is red."])
    assert len(codec.encode(text)) > 5000 > plan.executor.target.context_length
    result = plan.run(text=text)
    assert result.ok
    back = result.text
    for changes in reversed(result.segments[0].stages[0].edits):
        back = undone(back, changes)
    assert back == text
    if editor == "consistency":
        assert result.text.count("Bird number 3 sits") == 1
    if editor == "tagger":
        assert result.text.endswith("Their car is red.")

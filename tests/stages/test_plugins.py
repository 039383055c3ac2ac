"""Packages that offer methods by entry points: what they offer is in the table, and what cannot be used is told."""

import sys

import pytest

from ptgflow.cli.main import main
from ptgflow.errors import RecipeError
from ptgflow.stages.methods import SHIPPED, method_table

SPEC = """
from ptgflow.contracts import Contract, MethodSpec, Paradigm, Prompt, StageOptions, Text

def row(name, **more):
    return MethodSpec(
        paradigm=Paradigm.MTP, name=name, summary="made for a test", reference="none", options=StageOptions, **more
    )
"""
BAD = {
    "import offered_that_nobody_has": "ModuleNotFoundError: No module named 'offered_that_nobody_has'",
    "METHODS = [row('made')]": "TypeError: it is no tuple of MethodSpec, but [MethodSpec(",
    "METHODS = ('made',)": "TypeError: it is no tuple of MethodSpec, but ('made',)",
    "OTHER = (row('made'),)": "AttributeError: module 'offered' has no attribute 'METHODS'",
    "METHODS = (row('medusa'),)": "two methods are called 'mtp/medusa'; rename one",
    "METHODS = (row('made', contract=Contract(takes=(Text,), leaves=Prompt)),)": "does not allow",
}


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Installs packages of one module each."""

    def install(name, code):
        (tmp_path / f"{name}.py").write_text(f"{SPEC}\n{code}\n")
        info = tmp_path / f"{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[ptgflow.methods]\n{name} = {name}:METHODS\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
        method_table.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    method_table.cache_clear()


def test_what_packages_offer_is_in_the_table(offer):
    offer("offered", "METHODS = (row('one'), row('two'))")
    offer("more", "METHODS = (row('three'),)")
    added = {spec.key for spec in method_table()} - {spec.key for spec in SHIPPED}
    assert added == {"mtp/one", "mtp/two", "mtp/three"}


@pytest.mark.parametrize("code", BAD)
def test_what_cannot_be_used_is_told(code, offer, capsys):
    offer("offered", code)
    offer("fine", "METHODS = (row('one'),)")
    with pytest.raises(RecipeError) as caught:
        method_table()
    assert caught.value.codes == ("PTG411",)
    assert BAD[code] in str(caught.value)
    assert main(["stages", "mtp"]) == 2
    said = capsys.readouterr().err
    assert "the entry point 'offered' of 'offered' (offered:METHODS)" in said
    assert "pip uninstall offered" in said


def test_all_that_cannot_be_used_is_told_at_once(offer):
    offer("offered", "METHODS = (row('one'),)")
    offer("more", "METHODS = (row('one'),)")
    offer("other", "METHODS = None")
    with pytest.raises(RecipeError) as caught:
        method_table()
    assert caught.value.codes == ("PTG411", "PTG411")


def test_a_method_without_code_is_refused(offer, capsys, tmp_path):
    """Recipes with it can be checked; they do not run, and nothing else is put in its place."""
    offer("offered", "METHODS = (row('one'),)")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("flow: write\nstages:\n  write: {paradigm: mtp, heads: one}\n")
    assert main(["check", f"recipe={recipe}", "model=tiny"]) == 0
    said = capsys.readouterr()
    assert "valid (1 warning)" in said.out
    assert said.err.count("warning[PTG402]") == 1
    assert main(["run", f"recipe={recipe}", "model=tiny", "prompt=a"]) == 2
    said = capsys.readouterr()
    assert "error[PTG402]" in said.err
    assert "(mtp/one)" in said.err
    assert main(["stages"]) == 0
    assert "not yet implemented" in capsys.readouterr().out

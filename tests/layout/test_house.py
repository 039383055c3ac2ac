"""The rules of the house: sizes, links, names, what may be imported, and what a front half costs."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ptgflow
from ptgflow.contracts import PARADIGMS, Paradigm

ROOT = Path(__file__).parents[2]
CODE = [*(ROOT / "ptgflow").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
CODE = [path for path in CODE if not path.is_relative_to(ROOT / "ptgflow" / "stages")]
MAX_FILE, MAX_FUNCTION = 300, 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE, f"{relative(path)} has more than {MAX_FILE} lines: it holds two ideas"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION, f"{relative(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_modules_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{relative(path)} has no docstring"
    assert "from __future__ import annotations" not in text, "it hides shapes from run-time checks"
    assert path.stem not in BANNED_NAMES, f"{path.stem} says nothing about what is in it"
    assert "TODO" not in text, "nothing is left for later in the code"


def test_the_two_links_lead_to_the_top_level_folders():
    for name in ("stages", "recipes"):
        link = ROOT / "ptgflow" / name
        assert link.is_symlink()
        assert os.readlink(link) == f"../{name}"
        assert link.resolve() == (ROOT / name).resolve()


def test_the_top_level_is_what_the_plan_says():
    fixed = {"pyproject.toml", "ptgflow", "stages", "recipes", "tests", "docs", "README.md"}
    tooling = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "constraints.txt", "scripts", "benchmarks"}
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {line.split("/", 1)[0] for line in tracked.splitlines()}
    assert {name for name in found if not name.startswith(".")} <= fixed | tooling
    assert fixed <= found


def test_importing_the_methods_by_another_name_is_refused():
    code = "import sys; sys.path.insert(0, '.'); import stages"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "import this package as 'ptgflow.stages', not 'stages'" in done.stderr


COMMANDS = (
    ["--help"],
    ["check", "recipe=decomp_dv"],
    ["check", "recipe=decomp_mtp_edit_dv", "stages.write.k=99"],
    ["plan", "recipe=decomp_masked"],
    ["bench", "recipes=[arr,mtp]", "data=prompts.jsonl"],
    ["matrix"],
    ["recipes"],
    ["stages"],
    ["models"],
)


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_the_front_half_never_imports_torch(argv):
    code = (
        "import sys; from ptgflow.cli.main import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'ray'} & set(sys.modules); sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_imports_next_to_nothing():
    code = (
        "import sys; from ptgflow.cli.main import main; main(['--help']); "
        "heavy = {'pydantic', 'hydra', 'networkx', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


PUBLIC = {
    "Branches", "Canvas", "Capability", "Contract", "Decompose", "Diagnostic", "Draft", "DraftVerify", "Edit", "Flow",
    "Guarantee", "InternalError", "MTP", "Masked", "Merge", "Message", "MethodSpec", "ModelCard", "OneShot", "Paradigm",
    "Pipeline", "Plan", "Prompt", "PtgError", "RecipeError", "Remask", "RunError", "Severity", "StageOptions", "Text",
    "Verified", "compile", "load_recipe", "__version__", "Event", "Result",
}  # fmt: skip


def test_the_public_names_are_these():
    assert set(ptgflow.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(ptgflow, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ptgflow.nothing


def test_each_paradigm_has_its_room():
    for paradigm in PARADIGMS:
        if paradigm is not Paradigm.MERGE:
            assert (ROOT / "stages" / paradigm / "spec.py").is_file()
            assert (ROOT / "recipes" / "stage" / paradigm).is_dir()


def test_the_wheel_holds_the_linked_folders_and_the_data(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= {
        *("ptgflow/stages/base.py", "ptgflow/stages/decompose/spec.py", "ptgflow/recipes/config.yaml"),
        *("ptgflow/recipes/recipe/decomp_dv.yaml", "ptgflow/recipes/stage/mtp/medusa.yaml", "ptgflow/py.typed"),
        *("ptgflow/recipes/model/smollm2-135m.yaml", "ptgflow/diagnostics/examples/PTG101.yaml"),
    }
    assert not any(name.startswith(("tests/", "stages/", "recipes/", "docs/")) for name in names)

"""Every diagnostic has a bad and a good example, and they do what its page says; its texts keep the house's rules."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from ptgflow.cli.main import main
from ptgflow.diagnostics import Rule, Severity
from ptgflow.diagnostics.codes import RULES, editing, graph, kinds, methods, recipe, runtime
from ptgflow.diagnostics.pages import Example, examples, page

ROOT = Path(__file__).parents[2]
FAMILIES: tuple[ModuleType, ...] = (recipe, kinds, graph, methods, runtime, editing)
CONSTANTS = {name: value for family in FAMILIES for name, value in vars(family).items() if isinstance(value, Rule)}
PROVOKED = [rule for rule in RULES.values() if examples(rule).bad is not None]
INSTRUCTION = re.compile(r"(^|[;:,.] )(please|try|write|use|choose|add|remove|install|give|check|run|see)\b")
FOUND = re.compile(r"^(error|warning|note)\[(PTG\d+)\]", re.MULTILINE)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Folders in which a `setup` was run, by its text: a bad and a good example often share one."""
    folders: dict[str, Path] = {}
    yield folders
    for folder in folders.values():
        shutil.rmtree(folder)


def run_example(
    one: Example,
    folder: Path,
    prepared: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, str]:
    """The exit code and what was said: the shell expands the words, the command runs in this process."""
    monkeypatch.setenv("PTGFLOW_CACHE", str(folder / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    place = folder / "example"
    if one.setup not in prepared:
        template = folder / "template"
        for name, text in one.files.items():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            (template / name).write_text(text, encoding="utf-8")
        template.mkdir(exist_ok=True)
        if one.setup:
            subprocess.run(["bash", "-ec", one.setup], cwd=template, check=True, capture_output=True)
            prepared[one.setup] = template
    shutil.copytree(prepared.get(one.setup, folder / "template"), place)
    for name, text in one.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    listed = subprocess.run(
        ["bash", "-ec", f"ptgflow() {{ printf '%s\\0' \"$@\"; }}\n{one.command}"],
        cwd=place,
        check=True,
        capture_output=True,
        text=True,
    )
    monkeypatch.chdir(place)
    capsys.readouterr()
    code = main(listed.stdout.split("\0")[:-1])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("rule", PROVOKED, ids=lambda rule: rule.code)
def test_bad_example_gives_exactly_its_code(
    rule: Rule,
    tmp_path: Path,
    prepared: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = examples(rule).bad
    assert bad is not None
    code, said = run_example(bad, tmp_path, prepared, monkeypatch, capsys)
    found = FOUND.findall(said)
    if rule.severity is Severity.NOTE:
        assert ("note", rule.code) in found, said
        assert code == 0, said
    else:
        assert {name for severity, name in found if severity == "error"} == {rule.code}, said
        assert code == 2, said
    block = said[said.index(f"[{rule.code}]") :].partition("\n\n")[0]
    help_line = next((line for line in block.splitlines() if line.startswith("   help: ")), "")
    assert help_line.removeprefix("   help: ").strip(), f"the example of {rule.code} shows no help:\n{said}"
    assert f"more: ptgflow explain {rule.code}" in block
    unfilled = re.search(r"\{[a-z_]+\}", block)
    assert unfilled is None, f"a placeholder is not filled:\n{block}"
    assert "Traceback" not in said


@pytest.mark.parametrize("rule", PROVOKED, ids=lambda rule: rule.code)
def test_good_example_is_accepted(
    rule: Rule,
    tmp_path: Path,
    prepared: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = examples(rule).good
    assert good is not None, f"{rule.code} has a bad example and no good one"
    code, said = run_example(good, tmp_path, prepared, monkeypatch, capsys)
    assert rule.code not in {name for _, name in FOUND.findall(said)}, said
    assert code == 0, said


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_rule_has_a_page_and_a_test(rule: Rule) -> None:
    found = examples(rule)
    assert (found.bad is None) == bool(found.tested_by), "an example or a test, and not both"
    if found.tested_by:
        file, _, name = found.tested_by.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
    text = page(rule)
    assert text.startswith(f"# {rule.code}: {rule.slug}\n")
    assert rule.what in text
    assert rule.why in text


def test_no_example_without_a_rule() -> None:
    folder = ROOT / "ptgflow" / "diagnostics" / "examples"
    assert {path.stem for path in folder.iterdir()} == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_texts(rule: Rule) -> None:
    assert re.fullmatch(r"PTG\d{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.slug)
    for text in (rule.what, rule.why):
        assert text.endswith((".", "?")), f"{text!r} is a sentence"
        assert text == " ".join(text.split()), f"{text!r} has stray white space"
    assert not rule.message.endswith("."), "a message is no sentence of its own: it stands behind its code"
    assert not INSTRUCTION.search(rule.message), "what to do belongs into the help"
    assert "\n" not in rule.message + rule.help


def test_codes_and_slugs_are_unique() -> None:
    assert len({rule.slug for rule in RULES.values()}) == len(RULES) == len(CONSTANTS)


@cache
def uses() -> dict[str, list[tuple[str, ast.Call | None]]]:
    """Where each rule is named outside its own table, and the call, where it is one."""
    found: dict[str, list[tuple[str, ast.Call | None]]] = {name: [] for name in CONSTANTS}
    sources = [*(ROOT / "ptgflow").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    for path in sources:
        if "codes" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name in found:
                found[name].append((f"{path.relative_to(ROOT)}:{node.lineno}", called.get(id(node))))
    return found


@pytest.mark.parametrize("name", CONSTANTS)
def test_every_rule_is_raised_somewhere(name: str) -> None:
    assert uses()[name], f"{CONSTANTS[name].code} can never be seen"


@pytest.mark.parametrize("name", CONSTANTS)
def test_every_placeholder_is_filled_where_a_finding_is_made(name: str) -> None:
    rule = CONSTANTS[name]
    for where, call in uses()[name]:
        if call is None:
            continue
        given = {keyword.arg for keyword in call.keywords}
        own_help = any(
            keyword.arg == "help" and not (isinstance(keyword.value, ast.Name) and keyword.value.id == "help")
            for keyword in call.keywords
        )
        needed = rule.fields if not own_help else _fields(rule.message)
        assert None in given or needed <= given, f"{where} leaves {sorted(needed - given)} of {rule.code} open"


def _fields(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"(?<!\{)\{([a-z_]+)", text))

"""The package of docs/extending.md, installed by pip into a folder of its own, does what that page says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_snippets import snippets, steps

PAGE = "docs/extending.md"
FILES = {one.file: one.body for one in snippets(PAGE) if one.file}
COMMANDS = [command for one in snippets(PAGE) if one.kind == "console" for command, _ in steps(one.body)]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a command of the page in a folder that has its recipe and its test, and not the code of its package."""
    source, site, folder = (tmp_path_factory.mktemp(name) for name in ("source", "site", "folder"))
    for name, text in FILES.items():
        place = source if name in ("pyproject.toml", "ptgflow_pairs.py") else folder
        (place / name).write_text(text, encoding="utf-8")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", site, source], check=True)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": ":".join(paths), "PATH": programs}

    def run(command):
        assert command in COMMANDS, "it is a command of the page"
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    run.folder = folder
    return run


def test_the_page_has_one_file_of_code():
    assert {name for name in FILES if name.endswith(".py")} == {"ptgflow_pairs.py", "test_pairs.py"}


def test_the_drafter_is_listed(shell):
    assert "\n  draft_verify/pairs\n    propose what has followed" in shell("ptgflow stages draft_verify")


def test_a_recipe_uses_it_and_writes_the_greedy_text(shell):
    plain, drafted = (command for command in COMMANDS if command.startswith("ptgflow run"))
    shell(plain)
    shell(drafted)
    assert (shell.folder / "pairs.txt").read_text() == (shell.folder / "plain.txt").read_text() != ""
    (stage,) = json.loads((shell.folder / "pairs.jsonl").read_text())["metrics"]["stages"]
    assert stage["method"] == "draft_verify/pairs"
    assert 0 < stage["accepted"] < stage["proposed"]
    assert stage["rounds"] < stage["tokens_out"]

"""The generated pages of docs/ are what scripts/docs writes today."""

import re
import subprocess
import sys
from pathlib import Path

from ptgflow.contracts import PARADIGMS, SIX
from ptgflow.recipe.recipe_file import shipped_choices
from ptgflow.stages.methods import SHIPPED

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    """The check can fail: on a copy with one page changed and one page too many."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "docs").write_text((ROOT / "scripts" / "docs").read_text(encoding="utf-8"))
    script = [sys.executable, tmp_path / "scripts" / "docs"]
    subprocess.run(script, check=True)
    assert subprocess.run([*script, "--check"], check=True, capture_output=True).stderr == b""
    (tmp_path / "docs" / "matrix.md").write_text("old")
    (tmp_path / "docs" / "diagnostics" / "PTG000.md").write_text("of a rule that is gone")
    done = subprocess.run([*script, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "docs/matrix.md is stale; run scripts/docs\ndocs/diagnostics/PTG000.md is stale; run scripts/docs\n"
    )
    subprocess.run(script, check=True)
    assert subprocess.run([*script, "--check"], capture_output=True).returncode == 0


def test_the_table_of_what_runs_today_is_honest() -> None:
    """README's table, which a person wrote, agrees with the tables of methods and recipes."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (.*\|.*) \|$", text.partition("## What runs today")[2], re.MULTILINE))
    for paradigm in SIX:
        today, later = (set(re.findall(r"`(\w+)`", cell)) for cell in rows[PARADIGMS[paradigm].title].split("|"))
        own = [spec for spec in SHIPPED if spec.paradigm is paradigm]
        assert today == {spec.name for spec in own if spec.implementation}
        assert later == {spec.name for spec in own if not spec.implementation}
    ready = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").count("| today |")
    today, later = rows["recipes"].split("|")
    assert len(re.findall(r"`\w+`", today)) == ready
    left = len(shipped_choices("recipe")) - ready
    assert later.strip() == (f"the other {left}" if left else "")

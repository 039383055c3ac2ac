"""Every snippet of the documentation is run, and the output that it shows is the output that it has.

A snippet is a fenced block. `python` blocks are run; `console` blocks are run line by line, and what stands below a
command is compared with what it prints (`...` stands for anything). A block behind a line such as `my.yaml`: is a
file, which the snippets after it find in their folder. `text` blocks are pictures and are left alone.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ptgflow.cli.main import main
from ptgflow.stages.methods import method_table

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "stages/README.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
)
NOT_RUN = frozenset(
    {
        "make demo",
        "make test",
        "pip install torch",
        "pip install .",
        "pip install '.[edit]'",
        "pip install --editable '.[dev]'",
        "scripts/docs",
        "scripts/docs --check",
        "scripts/check",
        "scripts/test",
    }
)
"""Commands that install, download, or run all the tests."""

_FENCE = re.compile(r"(?:`(?P<file>[\w./-]+)`:\n\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block, and the files that stand before it in its document."""

    document: str
    line: int
    kind: str
    body: str
    file: str | None
    files: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.file is None and self.kind in ("python", "console")

    @property
    def needs_model(self) -> bool:
        """Whether it answers a request on the embedded model, which is the default."""
        if self.kind == "python":
            return bool(re.search(r"\.(run|stream|run_many)\(", self.body)) and "tiny" not in self.body
        commands = [command for command, _ in steps(self.body) if command not in NOT_RUN]
        made = ("model=tiny", "model.source=tiny", "--cfg")
        return any("ptgflow run" in one and not any(word in one for word in made) for one in commands)


def snippets(document: str) -> list[Snippet]:
    text = (ROOT / document).read_text(encoding="utf-8")
    found: list[Snippet] = []
    files: list[tuple[str, str]] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("kind")) + 1
        body = match["body"]
        found.append(Snippet(document, line, match["kind"], body, match["file"], tuple(files)))
        if match["file"]:
            files.append((match["file"], body))
    return found


def steps(body: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it."""
    joined = re.sub(r"\\\n(> )?\s*", "", body)
    parts = re.split(r"^\$ ", joined, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    return [(part.partition("\n")[0].strip(), part.partition("\n")[2]) for part in parts[1:]]


ALL = [one for document in DOCUMENTS for one in snippets(document)]
RUN = [pytest.param(one, id=str(one), marks=[pytest.mark.model] if one.needs_model else []) for one in ALL if one.runs]


def prepare(snippet: Snippet, folder: Path) -> None:
    """Write the files; a `pyproject.toml` among them is installed, as far as its entry points go."""
    for name, text in snippet.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        if name == "pyproject.toml":
            groups = tomllib.loads(text)["project"]["entry-points"]
            info = folder / "example-0.1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 0.1\n")
            lines = [
                f"[{group}]\n" + "\n".join(f"{key} = {value}" for key, value in rows.items())
                for group, rows in groups.items()
            ]
            (info / "entry_points.txt").write_text("\n".join(lines))


def run_command(command: str, folder: Path) -> tuple[int, str]:
    """Exit code and what was printed. A plain `ptgflow ... [> FILE]` runs in this process, all else in a shell."""
    plain, _, target = command.partition(" > ")
    if re.fullmatch(r"ptgflow [^|;&<>]*", re.sub(r"\"[^\"]*\"|'[^']*'", "Q", plain)):
        listing = f"ptgflow() {{ printf '%s\\0' \"$@\"; }}\n{plain}"
        words = subprocess.run(["bash", "-ec", listing], cwd=folder, check=True, capture_output=True, text=True).stdout
        said, written = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(written if target else said), contextlib.redirect_stderr(said):
            code = main(words.split("\0")[:-1])
        if target:
            (folder / target).write_text(written.getvalue(), encoding="utf-8")
        return code, said.getvalue()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def same(shown: str, printed: str) -> bool:
    """Whether an output is the one that is shown; `...` stands for anything."""

    def tidy(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())

    pattern = ".*".join(re.escape(part) for part in tidy(shown).split("..."))
    return re.fullmatch(pattern, tidy(printed), re.DOTALL) is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python also looks for packages in; what a snippet registers is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    method_table.cache_clear()
    yield tmp_path
    method_table.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("snippet", RUN)
def test_snippet(snippet: Snippet, folder: Path) -> None:
    prepare(snippet, folder)
    if snippet.kind == "python":
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(snippet.body, str(snippet), "exec"), {"__name__": "snippet"})
        shown = re.search(r"^# prints:\n((?:^#.*\n?)+)", snippet.body, re.MULTILINE)
        if shown is not None:
            wanted = "\n".join(line.removeprefix("#").removeprefix(" ") for line in shown[1].splitlines())
            assert same(wanted, said.getvalue()), said.getvalue()
        return
    for command, shown in steps(snippet.body):
        if command in NOT_RUN:
            assert not shown.strip(), f"the output of {command!r} is shown and never compared"
            continue
        code, printed = run_command(command, folder)
        rejected = "error[" in shown or "rejected" in shown
        assert code == (2 if rejected else 0), f"$ {command}\n{printed}"
        if shown.strip():
            assert same(shown, printed), f"$ {command}\nshown:\n{shown}\nprinted:\n{printed}"


@pytest.mark.parametrize("snippet", ALL, ids=str)
def test_every_block_is_one_that_is_run_or_a_picture(snippet: Snippet) -> None:
    assert snippet.kind in ("python", "console", "text") or snippet.file, f"a block of kind {snippet.kind!r}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_is_used(document: str) -> None:
    found = snippets(document)
    for one in found:
        if one.file and not one.file.endswith((".toml", ".py")):
            stem = Path(one.file).stem
            later = [other for other in found if other.line > one.line and stem in other.body]
            assert later, f"{one.file} of {document} is shown and never used"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / document).parent.joinpath(target).exists(), f"{document} links to {target}"


def test_the_comparison_can_fail() -> None:
    assert same("a ... c\nd", "a b c  \nd\n")
    assert not same("a ... c", "a b d")
    assert not same("a", "a\nb")
    assert steps("$ one \\\n    two\nshown\n$ three\n") == [("one two", "shown\n"), ("three", "")]

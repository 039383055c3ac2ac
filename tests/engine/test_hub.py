"""The hub as a source: what is asked of it, what is refused, and what an unreachable hub leaves to say."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from ptgflow.contracts import ModelCard
from ptgflow.engine.models import hub
from ptgflow.engine.models.progress import silent
from ptgflow.engine.models.sources import resolve
from ptgflow.errors import RunError


def card(source: str, **fields: Any) -> ModelCard:
    return ModelCard(name="mine", source=source, **fields)


def refusal(action: Any, *arguments: Any) -> RunError:
    with pytest.raises(RunError) as caught:
        action(*arguments)
    return caught.value


def snapshot(files: dict[str, str], folder: Path, calls: list[dict[str, Any]]) -> Any:
    """A stand-in for the hub's download, which keeps to the patterns like the real one."""

    def download(repo: str, **options: Any) -> str:
        calls.append({"repo": repo, **options})
        wanted = huggingface_hub.utils.filter_repo_objects(list(files), allow_patterns=options["allow_patterns"])
        for name in wanted:
            (folder / name).write_text(files[name])
        return str(folder)

    return download


FILES = {
    "config.json": "{}",
    "tokenizer.json": "{}",
    "model.safetensors": "",
    "README.md": "",
    "run.py": "",
    "x.bin": "",
}


def test_the_hub_is_asked_for_what_a_checkpoint_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(hub, "snapshot_download", snapshot(FILES, tmp_path, calls))
    assert resolve(card("org/some.model-1@refs/pr/2"), silent) == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (calls[0]["repo"], calls[0]["revision"]) == ("org/some.model-1", "refs/pr/2")


def test_a_repository_of_pickles_is_refused_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"config.json": "{}", "pytorch_model.bin": ""}
    monkeypatch.setattr(hub, "snapshot_download", snapshot(files, tmp_path, []))
    monkeypatch.setattr(hub.HfApi, "list_repo_files", lambda self, repo, revision: list(files))
    error = refusal(resolve, card("org/name"), silent)
    assert error.codes == ("PTG606",)
    assert "pytorch_model.bin" in str(error)
    assert not (tmp_path / "pytorch_model.bin").exists()
    assert resolve(card("org/name", allow_pickle=True), silent) == tmp_path


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(repo: str, **_: Any) -> str:
        raise LocalEntryNotFoundError("cannot reach it\n and a lot of advice")

    monkeypatch.setattr(hub, "snapshot_download", download)
    error = refusal(resolve, card("org/name"), silent)
    assert error.codes == ("PTG604",)
    assert "cannot reach it" in str(error)
    assert "HF_ENDPOINT" in str(error)
    assert "advice" not in str(error)


def test_a_snapshot_in_the_hubs_own_cache_is_found_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--org--name"
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **o: real(*a, cache_dir=tmp_path, **o))
    assert resolve(card("org/name"), silent) == folder
    assert resolve(card(f"org/name@{commit}"), silent) == folder
    assert refusal(resolve, card("org/other"), silent).codes == ("PTG604",)

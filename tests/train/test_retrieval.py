"""`ptgflow train retrieval`: from files to a datastore that drafts, and what is wrong with files."""

import json

import pytest

from ptgflow.cli.main import main
from ptgflow.contracts import ModelCard
from ptgflow.engine.lookup.datastore import END, load_datastore
from ptgflow.engine.models.tokenizer import load_codec
from ptgflow.errors import RunError
from ptgflow.train.files import files_of
from ptgflow.train.texts import KINDS, texts_of

CODEC = load_codec(ModelCard(name="tiny", source="tiny"))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("Ducks swim on ponds.\n\nDucks fly south.")
    (folder / "b.jsonl").write_text(
        '{"prompt": "p", "text": "one answer"}\n\n{"answers": ["two", "three"]}\n"four"\n'
        '{"messages": [{"role": "user", "content": "five"}, {"role": "assistant", "content": "six"}]}\n'
        '{"conversations": [{"from": "gpt", "value": "seven"}]}\n{"response": " "}\n'
    )
    (folder / "c.bin").write_text("not read")
    return folder


def test_texts_are_read_out_of_all_forms(data):
    files = files_of([data], KINDS)
    assert [file.name for file in files] == ["a.txt", "b.jsonl"]
    assert list(texts_of(files[0])) == ["Ducks swim on ponds.\n\nDucks fly south."]
    assert list(texts_of(files[1])) == ["one answer", "two", "three", "four", "five", "six", "seven"]


def test_the_command_builds_a_datastore_that_drafts(data, tmp_path, capsys):
    store = tmp_path / "store"
    assert main(["train", "retrieval", f"data={data}", f"output={store}", "model=tiny", "format=json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["texts"] == 8
    assert {name.rsplit("/", 1)[-1] for name, _ in card["data"]} == {"a.txt", "b.jsonl"}
    made, config = load_datastore(store, CODEC, model="tiny")
    assert (made.tokens == END).sum() == config.texts == 8
    length, places = made.longest(CODEC.encode("Some ducks s"), shortest=2, longest=16)
    assert length >= 2
    assert len(places) >= 1
    run = ["run", "recipe=draft_verify", "stage@stages.write=draft_verify/retrieval", "model=tiny", "max_tokens=20"]
    assert main([*run, "prompt=Ducks swim on", f"stages.write.datastore={store}", "stages.write.length=fixed"]) == 0
    drafted = capsys.readouterr().out
    assert main(["run", "recipe=ar", "model=tiny", "max_tokens=20", "prompt=Ducks swim on"]) == 0
    assert capsys.readouterr().out == drafted
    assert main([*run, "prompt=Ducks swim on"]) == 2
    found = capsys.readouterr().err
    assert "PTG409" in found
    assert "stages.write.datastore=FOLDER" in found
    assert main([*run, "prompt=Ducks swim on", f"stages.write.datastore={tmp_path / 'nowhere'}"]) == 2
    assert "PTG631" in capsys.readouterr().err


def test_a_finished_datastore_is_replaced_as_a_whole(data, tmp_path, capsys):
    options = ["train", "retrieval", f"output={tmp_path / 'store'}", "model=tiny"]
    assert main([*options, f"data={data}"]) == 0
    assert main([*options, f"data=[{data / 'a.txt'}]"]) == 0
    assert "of 1 texts" in capsys.readouterr().out
    assert load_datastore(tmp_path / "store", CODEC, model="tiny")[1].texts == 1


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("d.jsonl", "{", "PTG609"),
        ("d.jsonl", '{"prompt": "only a question"}', "PTG609"),
        ("d.bin", "", "PTG610"),
        ("missing.txt", None, "PTG610"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, text, code):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=code) as caught:
        [one for file in files_of([tmp_path / name], KINDS) for one in texts_of(file)]
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["data=[]"], "data"),
        (["data=empty"], "PTG633"),
        (["data=data", "epochs=3"], "epochs"),
        (["data=data", "output=null"], "output"),
        (["data=data", "format=svg"], "format"),
        (["data=data", "-m"], "train runs once"),
    ],
)
def test_mistakes_are_told(options, words, data, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text(" \n")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "retrieval", "model=tiny", "output=store", *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_the_configuration_is_printed(data, tmp_path, capsys):
    assert main(["train", "retrieval", "model=tiny", f"data={data}", "output=store", "--cfg", "job"]) == 0
    printed = capsys.readouterr().out
    assert f"- {data}" in printed
    assert "heads" not in printed

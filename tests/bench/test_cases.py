"""Requests out of the kinds of files in which such data is published."""

import pytest

from ptgflow.bench.cases import read_cases
from ptgflow.bench.spec import BenchSpec
from ptgflow.errors import RunError

LINES = (
    '{"question_id": 7, "category": "why", "turns": ["Why?", "And then?"]}\n'
    '{"id": "b", "prompt": " How? ", "category": "how", "hard": true}\n\n'
    '{"question": "When?", "category": "why"}\n'
    '{"instruction": "Translate.", "input": "Haus"}\n'
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text(LINES)
    return tmp_path


def read(**options):
    return read_cases(BenchSpec(**{"recipes": ["ar"], "data": "p.jsonl", **options}))


def test_json_lines():
    found = read()
    assert [(one.id, one.words, one.category) for one in found] == [
        ("7", "Why?", "why"),
        ("b", "How?", "how"),
        ("3", "When?", "why"),
        ("4", "Translate.\n\nHaus", ""),
    ]
    assert {one.kind for one in found} == {"Prompt"}


def test_other_kinds_of_files(here):
    (here / "p.json").write_text('[{"serial": "List.", "template": "x"}, {"text": "A text."}, {"canvas": "A [MASK]."}]')
    assert [(one.words, one.kind) for one in read(data="p.json")] == [
        ("List.", "Prompt"),
        ("A text.", "Text"),
        ("A [MASK].", "Canvas"),
    ]
    (here / "p.csv").write_text('label;request\n1;"One; two"\n0;Three\n')
    assert [one.words for one in read(data="p.csv")] == ["One; two", "Three"]
    (here / "dev.src").write_text("First line .\n\n Second line .\n")
    assert [(one.words, one.kind) for one in read(data="dev.src")] == [("First line .", None), ("Second line .", None)]


def test_some_of_them(here):
    assert [one.words for one in read(where={"category": "why"})] == ["Why?", "When?"]
    assert [one.words for one in read(where={"category": "why"}, limit=1)] == ["Why?"]
    assert [one.words for one in read(where={"hard": True})] == ["How?"]
    assert [one.words for one in read(ids=["b", 7])] == ["Why?", "How?"]
    (here / "labels.csv").write_text("label;request\n1;Why?\n0;How?\n1;When?\n")
    assert [one.words for one in read(labels="labels.csv", where={"label": 1})] == ["Why?", "When?"]


def test_ids_of_several_files_differ(here):
    (here / "q.txt").write_text("One\nTwo\n")
    assert [one.id for one in read(data=["q.txt", "q.txt"])] == ["1", "2", "1#2", "2#2"]


def test_references_stand_beside_their_texts(here):
    (here / "src").write_text("a\nb\n")
    (here / "r0").write_text("A\nB\n")
    (here / "r1").write_text("AA\nBB\n")
    found = read(data="src", references=["r0", "r1"])
    assert [one.references for one in found] == [("A", "AA"), ("B", "BB")]
    (here / "r1").write_text("AA\n")
    with pytest.raises(RunError, match=r"it has 1 lines, and the data has 2 texts"):
        read(data="src", references=["r0", "r1"])


@pytest.mark.parametrize(
    ("name", "text", "options", "words"),
    [
        ("e.jsonl", "\n", {}, "is empty"),
        ("e.txt", "", {}, "is empty"),
        ("e.jsonl", '{"prompt": "a"}\n[]\n', {}, "line 2 .* a JSON list"),
        ("e.jsonl", '{"answer": "a"}\n', {}, "none of prompt"),
        ("e.jsonl", '{"prompt": 3}\n', {}, "a JSON int"),
        ("e.jsonl", '{"prompt": " "}\n', {}, "its request is empty"),
        ("e.json", "{}", {}, "a JSON dict, not a list"),
        ("e.json", "[", {}, "it is no JSON"),
        ("e.json", '[{"prompt": "a"}, {}]', {}, "entry 2: it has none"),
        ("e.csv", "a,b\n1,2\n", {}, "none of prompt"),
        ("e.csv", 'prompt\n"a\n', {}, "unexpected end of data"),
        ("e.txt", "a\n", {"where": {"category": "x"}}, "has no option 'category'"),
        ("e.jsonl", '{"prompt": "a", "category": "x"}', {"where": {"categroy": "x"}}, "did you mean  where={category"),
        ("e.jsonl", '{"prompt": "a", "category": "x"}', {"where": {"category": "y"}}, "category=y is empty"),
        ("e.jsonl", '{"prompt": "a"}', {"ids": ["z"]}, "of z is empty"),
        ("e.txt", "a\n", {"labels": "p.jsonl"}, "it has no column"),
        ("e.txt", "a\n", {"labels": "nowhere.csv"}, "No such file"),
        ("e.txt", "a\n", {"references": ["nowhere"]}, "No such file"),
    ],
)
def test_bad_data_is_refused(here, name, text, options, words):
    (here / name).write_text(text)
    with pytest.raises(RunError, match=words):
        read(data=name, **options)


def test_labels_of_other_requests(here):
    (here / "labels.csv").write_text("label,request\n1,Nothing\n")
    with pytest.raises(RunError, match="holds none of the requests"):
        read(labels="labels.csv")
    with pytest.raises(RunError, match="No such file"):
        read(data="nowhere.jsonl")

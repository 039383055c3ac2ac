"""Ctrl-C and SIGTERM: the step under way is finished and saved, and the same command goes on to the same weights."""

import json
import signal
import threading

import pytest
import torch

from ptgflow.cli.main import INTERRUPTED, main
from ptgflow.train.interruptions import wish_to_stop
from ptgflow.train.job import train
from ptgflow.train.trainer import Trainer
from tests.train.test_train import MODEL, Silent, spec_of

EACH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PTGFLOW_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "\n".join(json.dumps({"prompt": f"Tell me about {word}."}) for word in ("ducks", "tides", "rain", "ice"))
    )
    return path


def signalled(patch, number, step):
    """Send a signal while a step is under way."""
    original = Trainer._one

    def one(self):
        if self._step == step:
            signal.raise_signal(number)
        return original(self)

    patch.setattr(Trainer, "_one", one)


@EACH
def test_a_signal_within_a_step_loses_nothing(number, data, tmp_path):
    whole = train(spec_of("medusa", data, tmp_path / "whole", "epochs=4"), MODEL, Silent())
    spec = spec_of("medusa", data, tmp_path / "stopped", "epochs=4")
    handler = signal.getsignal(number)
    with pytest.MonkeyPatch.context() as patch:
        signalled(patch, number, 2)
        with pytest.raises(KeyboardInterrupt):
            train(spec, MODEL, Silent())
    assert signal.getsignal(number) is handler
    assert torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["step"] == 3
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["checkpoint.pt"]
    resumed = train(spec, MODEL, Silent())
    assert (resumed.tokens, resumed.loss) == (whole.tokens, whole.loss)
    for name, weight in whole.objective.network.state_dict().items():
        assert torch.equal(weight, resumed.objective.network.state_dict()[name]), name


def test_the_command_says_that_it_can_be_gone_on_with(data, tmp_path, monkeypatch, capsys):
    signalled(monkeypatch, signal.SIGTERM, 1)
    folder = tmp_path / "heads"
    words = ["heads=medusa", "model=tiny", f"data={data}", f"output={folder}", "heads.draft_vocab_size=100"]
    assert main(["train", *words, "held_out=1", "max_tokens=16", "batch_size=1"]) == INTERRUPTED
    said = capsys.readouterr().err
    assert f"what was learnt is in {folder}" in said
    assert "interrupted" in said


@EACH
def test_a_second_signal_interrupts_at_once(number):
    with wish_to_stop() as wish:
        signal.raise_signal(number)
        assert wish.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with wish_to_stop() as wish:
            signal.raise_signal(signal.SIGINT)
            assert not wish.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_than_the_main_one_does_not_listen():
    found = []

    def work():
        with wish_to_stop() as wish:
            found.append(wish.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]

"""What takes part in a comparison: recipes, and transformers' own decoding of the same weights."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch

from ptgflow.api import Plan
from ptgflow.bench.cases import Case
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Generation
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.passes.precision import FLOATS
from ptgflow.executors.events import Event
from ptgflow.executors.request import Ask
from ptgflow.executors.result import Metrics, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one of them made of a case, and what that cost."""

    seconds: float
    text: str = ""
    token_ids: tuple[int, ...] = ()
    """Of the text under the target's tokenizer."""
    rounds: int = 0
    """Model evaluations (NFE): passes that contained the request, those of a guide among them."""
    critical_rounds: int = 0
    """Of those, the ones that had to wait for each other."""
    acceptance_length: float | None = None
    points: tuple[tuple[str | None, str], ...] = ()
    """Titles and texts of the segments."""
    exact: bool = False
    """Whether the whole text is promised to be the target's greedy one."""
    how: str = ""
    """What splits decided."""
    stages: tuple[tuple[str, float], ...] = ()
    """Seconds of each stage."""
    error: str | None = None


class Contender(Protocol):
    """Something that answers."""

    @property
    def label(self) -> str: ...

    def answer(self, case: Case) -> Answer:
        """Work on a case; what goes wrong with it is in the answer."""
        ...


@final
class RecipeContender:
    """A plan, asked one thing at a time."""

    def __init__(self, label: str, plan: Plan, kind: str, warn: Callable[[str], None]) -> None:
        self._label, self._plan, self._kind, self._warn = label, plan, kind, warn
        self._warned: set[str] = set()

    @property
    def label(self) -> str:
        return self._label

    def answer(self, case: Case) -> Answer:
        """Work on a case; what goes wrong with it is in the answer."""
        begin = time.perf_counter()
        happened = list(self._plan.run_many([_ask(case, self._kind)]))
        seconds = time.perf_counter() - begin
        for text in {one.text for one in happened if isinstance(one, Event) and one.kind == "warning"} - self._warned:
            self._warned.add(text)
            self._warn(f"{self._label}: {text}")
        result = next(one for one in happened if isinstance(one, Result))
        if result.metrics is None:
            return Answer(seconds=seconds, error=result.error_report or result.error or "it failed")
        metrics = result.metrics
        return Answer(
            seconds=seconds,
            text=result.text,
            token_ids=result.token_ids,
            rounds=metrics.rounds + _guided(metrics),
            critical_rounds=metrics.critical_rounds,
            acceptance_length=metrics.acceptance_length,
            points=tuple((one.title, one.text) for one in result.segments),
            exact=result.guarantee.level == "exact" and result.guarantee.scope == "answer",
            how=result.how,
            stages=tuple((stage.name, stage.wall_s) for stage in metrics.stages),
        )


def _ask(case: Case, kind: str) -> Ask:
    """A case as a request of an executor."""
    if kind == "Text":
        return Ask(id=case.id, text=case.words)
    return Ask(id=case.id, canvas=case.words) if kind == "Canvas" else Ask(id=case.id, prompt=case.words)


def _guided(metrics: Metrics) -> int:
    """Passes of a guide of masked generation, which stand beside the rounds of the masked model."""
    return sum(stage.verify_rounds for stage in metrics.stages if stage.method.startswith("masked/"))


@final
class TransformersContender:
    """transformers' own greedy generation, of the same prompts in the same chat template, to the same end tokens."""

    def __init__(self, label: str, target: LoadedModel, generation: Generation) -> None:
        """Load the weights once more, as transformers' network.

        Args:
            label: its name in tables.
            target: the model of the recipes.
            generation: their options.
        """
        # On a processor it is fastest in fp32, whatever the target's weights are packed in.
        keeps = target.device.type != "cpu" and target.dtype in FLOATS
        card = target.card.model_copy(update={"dtype": target.dtype if keeps else "float32"})
        self.model = load_model(card, Accelerate(forward="transformers"))
        self._label, self._generation = label, generation
        self._exact = self.model.dtype == target.dtype
        """In another precision the likeliest token may be another one."""

    @property
    def label(self) -> str:
        return self._label

    @torch.no_grad()
    def answer(self, case: Case) -> Answer:
        """Work on a case; what goes wrong with it is in the answer."""
        begin = time.perf_counter()
        codec = self.model.codec
        ids = codec.prompt((), text=case.words, chat=self._generation.chat).token_ids
        most = min(self._generation.max_tokens, self.model.context_length - len(ids))
        if most < 1:
            reason = f"the prompt has {len(ids)} tokens, and {self.model.name} reads {self.model.context_length}"
            return Answer(seconds=time.perf_counter() - begin, error=reason)
        network: Any = self.model.network
        asked = torch.tensor([ids], device=self.model.device)
        ends = sorted(codec.eos_ids)
        written = network.generate(
            asked,
            attention_mask=torch.ones_like(asked),
            do_sample=False,
            max_new_tokens=most,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )[0, len(ids) :].tolist()
        passes = len(written)
        answer = tuple(token for token in written if token not in codec.eos_ids)
        text = codec.decode(answer)
        seconds = time.perf_counter() - begin
        return Answer(
            seconds=seconds,
            text=text,
            token_ids=answer,
            rounds=passes,
            critical_rounds=passes,
            exact=self._exact,
        )

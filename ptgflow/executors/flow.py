"""A program as a generator: it walks the stages of one request and yields what it waits for.

Two things can be waited for: rows of a decoding loop (`Decode`), and the segments of a split (`Fork`), each a generator
of the same kind. Nothing here runs a model or knows what else is in a batch.
"""

import hashlib
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ptgflow.contracts import Branches, Draft, Paradigm, Prompt, Segment, Shape, Text
from ptgflow.contracts.settings import Generation
from ptgflow.diagnostics.codes.methods import BROKEN_CONTRACT
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.engine.loops import Request
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import Decoded
from ptgflow.errors import InternalError, PtgError, RunError
from ptgflow.executors.crop import whole_sentences
from ptgflow.executors.events import EventKind
from ptgflow.executors.merge import merged
from ptgflow.executors.result import StageRecord
from ptgflow.executors.retokenised import encoded
from ptgflow.graph.ir import Node
from ptgflow.stages.base import AbstractDrafting, AbstractMethod, DraftsOf, StageContext, StageReport


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundStage:
    """A stage of the program with its method and model at hand."""

    node: Node
    method: AbstractMethod[Any, Any] | None
    """None for Merge."""
    model: LoadedModel
    draft_model: LoadedModel | None = None
    """The second model that drafts for the first."""
    path_codec: Codec | None = None
    """Of the path, where this stage is an editor whose model has another one."""
    drafting: "BoundStage | None" = None
    """The stage before it that the compiler has fused into its loop."""

    @property
    def drafts(self) -> DraftsOf | None:
        """How that stage drafts."""
        if self.drafting is None:
            return None
        method, slot, model = self.drafting.method, self.drafting.node.slot, self.model
        assert isinstance(method, AbstractDrafting), "only what drafts is fused"
        return lambda builder, size, least: method.drafter(model, slot, builder, size=size, least=least)


@dataclass(slots=True, kw_only=True)
class Track:
    """What is known of one segment, or of the whole, while it runs."""

    generation: Generation
    budget: int
    segment: int | None = None
    title: str | None = None
    critical_rounds: int = 0
    """Passes on the longest path so far."""
    records: list[StageRecord] = field(default_factory=list[StageRecord])
    notes: list[str] = field(default_factory=list[str])
    """What splits decided."""
    children: "list[Track]" = field(default_factory=list["Track"])
    text: Text | None = None
    """The segment's text, once it is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """A row that a loop shall decode."""

    model: str
    slot: str
    request: Request
    track: Track
    final: bool
    """Whether its text is part of the answer as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Segments that go on side by side; the answer is their results, in order."""

    flows: "tuple[Generator[Effect, Any, Segment], ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something to tell; nothing is waited for."""

    kind: EventKind
    track: Track
    slot: str = ""
    text: str = ""
    final: bool = False
    """Of a text: whether it is part of the answer as it stands."""
    details: dict[str, Any] = field(default_factory=dict[str, Any])


Effect = Decode | Fork | Happened
FlowWork = Generator[Effect, Any, Segment]


def run_flow(stages: Sequence[BoundStage], value: Segment, track: Track) -> FlowWork:
    """Take one segment through stages; a split takes its segments through those up to its Merge."""
    position = 0
    while position < len(stages):
        stage = stages[position]
        shape = stage.node.contract.shape if stage.node.contract else Shape.PLAIN
        if shape is Shape.FORK:
            end = next(i for i in range(position, len(stages)) if stages[i].node.paradigm is Paradigm.MERGE)
            value = yield from _run_split(stage, stages[position + 1 : end], value, track, last=end == len(stages) - 1)
            position = end + 1
        else:
            final = all(later.node.paradigm is Paradigm.MERGE for later in stages[position + 1 :])
            value = yield from _run_stage(stage, value, track, final=final)
            position += 1
    return value


def _run_split(stage: BoundStage, inner: Sequence[BoundStage], value: Segment, track: Track, *, last: bool) -> FlowWork:
    branches = yield from _run_stage(stage, value, track, final=False)
    assert isinstance(branches, Branches), "a fork leaves branches"
    track.notes.append(branches.how)
    shares = _shares(branches, track.budget, stage.model)
    # A later split of the same request starts its own family, so its segments replace those of the earlier one.
    track.children = [
        Track(
            generation=track.generation.model_copy(update={"stop": (*track.generation.stop, *branches.stop)}),
            budget=share,
            segment=index,
            title=branches.titles[index] if branches.titles else None,
        )
        for index, share in enumerate(shares)
    ]
    yield Happened(
        kind="split",
        track=track,
        slot=stage.node.slot,
        text=branches.how,
        details={"titles": [child.title for child in track.children], "last": last},
    )
    flows = tuple(_run_segment(inner, item, child) for item, child in zip(branches.items, track.children, strict=True))
    texts = yield Fork(flows=flows)
    if len(texts) > 1 and all(isinstance(item, Prompt) for item in branches.items):
        # Half a sentence at the end of a point, with the next point behind it, reads worse than none.
        texts = [whole_sentences(text, stage.model.codec) for text in texts]
        for child, text in zip(track.children, texts, strict=True):
            child.text = text
    track.critical_rounds += max((child.critical_rounds for child in track.children), default=0)
    prompt = value if isinstance(value, Prompt) else value.prompt if isinstance(value, Text) else None
    return merged(branches, texts, prompt=prompt, slot=stage.node.slot, codec=stage.model.codec)


def _shares(branches: Branches[Segment], budget: int, model: LoadedModel) -> tuple[int, ...]:
    """Most new tokens of each segment.

    Sub-prompts share what the headings leave of the whole answer's budget; a passage has its length already, so each
    may use all of it.
    """
    if not all(isinstance(item, Prompt) for item in branches.items):
        return branches.share or (budget,) * len(branches.items)
    headings = sum(len(model.codec.encode(lead)) for lead in branches.leads if lead)
    even = max((budget - headings) // max(len(branches.items), 1), 1)
    return tuple(min(share, even) for share in branches.share or (even,) * len(branches.items))


def _run_segment(stages: Sequence[BoundStage], item: Segment, track: Track) -> FlowWork:
    left = yield from run_flow(stages, item, track)
    assert isinstance(left, Text), "the compiler lets only complete text reach a Merge"
    track.text = left
    yield Happened(kind="segment_end", track=track)
    return left


def _run_stage(stage: BoundStage, value: Segment, track: Track, *, final: bool) -> Generator[Effect, Any, Any]:
    """Drive one method's generator, count what it used, and hold its result against its contract."""
    node, method = stage.node, stage.method
    assert method is not None, "only Merge has no method, and it is run with its split"
    context = StageContext(
        slot=node.slot,
        model=stage.model,
        generation=track.generation,
        budget=track.budget,
        seed=derived_seed(track.generation.sampling.seed, node.slot, track.segment),
        draft_model=stage.draft_model,
        drafts=stage.drafts,
    )
    yield Happened(kind="stage", track=track, slot=node.slot)
    given = value
    if stage.path_codec is not None:
        assert isinstance(value, Text), "an editor takes a text"
        value = encoded(value, stage.path_codec, stage.model.codec, chat=track.generation.chat)
    started, answers, shown = time.perf_counter(), list[Decoded](), False
    try:
        work = method.run(value, context)
        request = next(work)
        while True:
            answer: Decoded = yield Decode(
                model=stage.model.name, slot=node.slot, request=request, track=track, final=final and request.visible
            )
            answers.append(answer)
            shown |= request.visible
            request = work.send(answer)
    except StopIteration as finished:
        result = finished.value
        if stage.path_codec is not None:
            assert isinstance(given, Text), "it was encoded anew"
            result = replace(
                encoded(result, stage.model.codec, stage.path_codec, chat=track.generation.chat), prompt=given.prompt
            )
    except PtgError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunError([STAGE_FAILED(slot=node.slot, method=_key(node), reason=reason)]) from error
    record = _record(stage, value, result, answers, time.perf_counter() - started, context.report)
    track.records.append(record)
    track.critical_rounds += record.rounds
    _hold_to_contract(node, Draft if stage.drafting is not None else type(value), result)
    if isinstance(result, Text) and result.text and not shown:
        yield Happened(kind="text", track=track, slot=node.slot, text=result.text, final=final)
    details: dict[str, Any] = {"rounds": record.rounds}
    if record.edits:
        details["edits"] = [[asdict(change) for change in changes] for changes in record.edits]
    if record.refused:
        details["refused"] = [asdict(refusal) for refusal in record.refused]
    yield Happened(kind="stage_end", track=track, slot=node.slot, details=details)
    return result


def _record(
    stage: BoundStage, value: Segment, result: object, answers: list[Decoded], wall_s: float, report: StageReport
) -> StageRecord:
    return StageRecord(
        name=stage.node.slot,
        method=_key(stage.node),
        wall_s=wall_s,
        rounds=sum(answer.rounds for answer in answers),
        tokens_in=len(value.token_ids),
        tokens_out=sum(len(answer.token_ids) for answer in answers),
        proposed=sum(answer.proposed for answer in answers),
        accepted=sum(answer.accepted for answer in answers),
        agreed=sum(answer.agreed for answer in answers),
        own=total([answer.own for answer in answers]),
        verify_rounds=sum(answer.verify_rounds for answer in answers),
        how=result.how if isinstance(result, Branches) else _drafted_by(stage),
        edits=(*(changes for answer in answers for changes in answer.edits), *report.edits),
        refused=tuple(report.refused),
    )


def total(counts: Sequence[int | None]) -> int | None:
    """The sum of counts; None where there are none, or one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _drafted_by(stage: BoundStage) -> str:
    return "" if stage.drafting is None else f"{stage.drafting.node.slot!r} ({_key(stage.drafting.node)}) drafts"


def _hold_to_contract(node: Node, taken: type[Segment], result: object) -> None:
    """The declared kinds are what later stages rely on; a method that breaks its promise is stopped here."""
    contract = node.contract
    assert contract is not None, "a bound stage has a contract"
    promised = contract.result(taken)
    kept = (
        isinstance(result, Branches) and all(isinstance(item, promised or Segment) for item in result.items)
        if contract.shape is Shape.FORK
        else isinstance(result, promised or Segment)
    )
    if promised is None or not kept:
        left = type(result).__name__
        raise InternalError([BROKEN_CONTRACT(slot=node.slot, method=_key(node), promised=str(contract), left=left)])


def derived_seed(seed: int, slot: str, segment: int | None) -> int:
    """The seed of a stage's work on a segment: a function of the run's seed and the place in the flow alone."""
    digest = hashlib.blake2b(f"{seed}/{slot}/{segment}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _key(node: Node) -> str:
    return f"{node.paradigm}/{node.method}"

"""From a finished request to its result: the counts that every report shows."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from ptgflow.compiler.guarantee import guarantee_of
from ptgflow.compiler.program import Program
from ptgflow.contracts import Draft, Guarantee, Segment, Text
from ptgflow.engine.models.codec import Codec
from ptgflow.errors import PtgError
from ptgflow.executors.flow import Track, total
from ptgflow.executors.request import Job
from ptgflow.executors.result import Metrics, Result, SegmentRecord, StageRecord, TokenLogprobs
from ptgflow.executors.worker import Running


def failed(job: Job, program: Program, error: PtgError) -> Result:
    """The result of a request that could not be answered."""
    return Result(
        id=job.id,
        recipe=program.name,
        model=program.card.name,
        seed=job.generation.sampling.seed,
        # What is no text (half of a surrogate pair) cannot be written to a file either.
        prompt=job.shown.encode(errors="replace").decode(),
        error="; ".join(_first_line(str(finding)) for finding in error.findings),
        error_code=error.codes[0],
        error_report=str(error),
    )


def finished(job: Job, program: Program, running: Running, value: Segment, codec: Codec) -> Result:
    """The result of a request that was answered."""
    assert isinstance(value, Text), "the compiler lets a flow end only in complete text"
    # A decoder may spell text that was joined from pieces in another way than piece by piece; the ids are the text's.
    aligned = codec.decode(value.token_ids) == value.text
    ids = value.token_ids if aligned else codec.encode(value.text)
    return Result(
        id=job.id,
        recipe=program.name,
        model=program.card.name,
        seed=job.generation.sampling.seed,
        prompt=job.shown,
        text=value.text,
        token_ids=ids,
        origin=value.origin if aligned else (),
        logprobs=_logprobs(job, value) if aligned else None,
        finish_reason=value.finish_reason,
        segments=_segments(running.track, value),
        whole=tuple(running.track.records) if running.track.children else (),
        guarantee=_guarantee(job, program, running.track),
        metrics=_metrics(job, program, running, len(ids)),
        how="; ".join(running.track.notes),
    )


def _logprobs(job: Job, value: Text) -> tuple[TokenLogprobs, ...] | None:
    if job.generation.sampling.logprobs is None or not isinstance(value, Draft):
        return None
    tops = value.tops or ((),) * len(value.token_ids)
    return tuple(
        TokenLogprobs(token_id=token, logprob=score, top=top)
        for token, score, top in zip(value.token_ids, value.scores, tops, strict=True)
    )


def _guarantee(job: Job, program: Program, track: Track) -> Guarantee:
    """The program's, for as much of the text as it covers: an answer that took the plain path is one segment."""
    promised = guarantee_of(program.graph, job.generation.sampling.temperature)
    plain = len(track.children) == 1 and track.children[0].title is None
    return replace(promised, scope="answer") if plain else promised


def _first_line(text: str) -> str:
    return text.splitlines()[0].partition(": ")[2]


def _segments(track: Track, whole: Text) -> tuple[SegmentRecord, ...]:
    if not track.children:
        return (
            SegmentRecord(
                index=0, title=None, text=whole.text, finish_reason=whole.finish_reason, stages=tuple(track.records)
            ),
        )
    return tuple(
        SegmentRecord(
            index=child.segment or 0,
            title=child.title,
            text=child.text.text if child.text else "",
            finish_reason=child.text.finish_reason if child.text else "length",
            stages=tuple(child.records),
        )
        for child in track.children
    )


def _metrics(job: Job, program: Program, running: Running, new_tokens: int) -> Metrics:
    track, wall_s = running.track, time.perf_counter() - running.started
    records = [*track.records, *(record for child in track.children for record in child.records)]
    # A draft may be proposed in the pass over the prompt already, so all passes of a drafting stage count.
    drafting = sum(record.rounds for record in records if record.proposed)
    accepted = sum(record.accepted for record in records)
    return Metrics(
        wall_s=wall_s,
        first_text_s=running.first_text_s,
        prompt_tokens=len(job.value.token_ids) if job.value is not None else 0,
        new_tokens=new_tokens,
        rounds=sum(len(passes) for passes in running.passes.values()),
        critical_rounds=track.critical_rounds,
        steps_per_token=track.critical_rounds / new_tokens if new_tokens else None,
        tokens_per_s=new_tokens / wall_s if new_tokens else None,
        model_passes=_by_model(running),
        acceptance_length=1 + accepted / drafting if drafting else None,
        peak_memory_mb=peak_memory_mb(),
        stages=tuple(_summed(node.slot, records) for node in program.nodes if node.spec and not node.fused_into),
    )


def _by_model(running: Running) -> dict[str, int]:
    """Passes of each model, in all its loops together."""
    found: dict[str, int] = {}
    for (name, _), passes in running.passes.items():
        found[name] = found.get(name, 0) + len(passes)
    return found


def _summed(slot: str, records: Sequence[StageRecord]) -> StageRecord:
    own = [record for record in records if record.name == slot]
    return StageRecord(
        name=slot,
        method=own[0].method if own else "",
        wall_s=max((record.wall_s for record in own), default=0.0),
        rounds=max((record.rounds for record in own), default=0),
        tokens_in=sum(record.tokens_in for record in own),
        tokens_out=sum(record.tokens_out for record in own),
        proposed=sum(record.proposed for record in own),
        accepted=sum(record.accepted for record in own),
        agreed=sum(record.agreed for record in own),
        own=total([record.own for record in own]),
        verify_rounds=sum(record.verify_rounds for record in own),
        how="; ".join(record.how for record in own if record.how),
    )


def peak_memory_mb() -> float:
    """Most memory used so far: of the device's allocator on a GPU, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20

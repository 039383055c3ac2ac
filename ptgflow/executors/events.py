"""What happened while a request ran: the stream that a person watches and a trace file keeps."""

from dataclasses import dataclass, field
from typing import Any, Literal

EventKind = Literal["start", "stage", "split", "text", "stage_end", "segment_end", "end", "error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    kind: `start` of a request; `stage` and `stage_end` of a stage on one segment; `split` into segments; `text` that
    settled; `segment_end`; `end` or `error` of the request; `warning`: something about the
    run as a whole, of no request.
    """

    kind: EventKind
    request: str
    time_s: float
    """Seconds since the request started."""
    segment: int | None = None
    """Index of the segment; None for the whole."""
    slot: str = ""
    text: str = ""
    """Of kind `text`: what was added and can change no more, but for half a sentence at the end of a segment that its
    token limit cut: that is dropped when the segments are joined. Of kind `split`: how the split came about."""
    final: bool = False
    """Of kind `text`: whether no later stage of the flow changes it."""
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """One line of a trace file."""
        plain = {"time_s": round(self.time_s, 4), "kind": self.kind, "request": self.request}
        if self.segment is not None:
            plain["segment"] = self.segment
        plain.update({name: value for name, value in (("slot", self.slot), ("text", self.text)) if value})
        return {**plain, **({"final": True} if self.final else {}), **self.details}

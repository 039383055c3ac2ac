"""Remask by certainty: mask-predict's way from a text that was written at once to a canvas (arXiv 1904.09324)."""

from typing import final

from ptgflow.contracts import Canvas, Text
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.errors import RunError
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.remask.spec import WeakestOptions


@final
class Weakest(AbstractMethod[Text, Canvas]):
    """Of N tokens the floor(ratio N) least likely ones become holes, of equally likely ones the first; the others stay.

    With ratio (T - t) / T it is what mask-predict does between its iterations t and t + 1 of T (its section 3.1).
    """

    def __init__(self, options: WeakestOptions) -> None:
        self._options = options

    def run(self, value: Text, context: StageContext) -> Work[Canvas]:
        """Yield nothing: no model is asked.

        Raises:
            RunError: STAGE_FAILED, for a text that does not say how likely its tokens were.
        """
        yield from ()
        if value.scores is None:
            reason = "the stage before it does not say how likely the tokens of its text were"
            remedy = "put a stage before it that says it, such as oneshot/argmax"
            raise RunError([STAGE_FAILED(slot=context.slot, method="remask/weakest", reason=reason, help=remedy)])
        scores, places = value.scores, len(value.token_ids)
        # A product below a whole number by rounding alone is that number.
        count = max(int(places * self._options.ratio + 1e-9), 1)
        holes = set(sorted(range(places), key=scores.__getitem__)[:count])
        return Canvas(
            token_ids=value.token_ids,
            tokenizer=value.tokenizer,
            holes=tuple(place in holes for place in range(places)),
            frozen=tuple(place not in holes for place in range(places)),
            origin=value.origin,
            prompt=value.prompt,
        )

"""Ask a guide about many rows, in as few passes as its memory allows."""

from collections.abc import Sequence

from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Guide, Question
from ptgflow.engine.memory import is_out_of_memory


def answered(guide: Guide, questions: Sequence[Question]) -> tuple[dict[int, Tensor], dict[int, Exception]]:
    """The answers by row, in one pass; where memory does not suffice, in several. What does not fit alone fails."""
    try:
        answers = guide.answer(list(questions))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(questions) == 1:
            return {}, {questions[0].row: error}
    else:
        return {one.row: logits for one, logits in zip(questions, answers, strict=True)}, {}
    half = len(questions) // 2
    first, second = answered(guide, questions[:half]), answered(guide, questions[half:])
    return first[0] | second[0], first[1] | second[1]

"""What is asked of an executor: one input, not yet encoded, and its encoded form."""

from dataclasses import dataclass
from typing import Final

from ptgflow.contracts import Canvas, Message, Segment, Text
from ptgflow.contracts.settings import Generation
from ptgflow.diagnostics.codes.runtime import EMPTY_PROMPT, NOT_TEXT, WRONG_INPUT_KIND
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

OPTIONS = {"Prompt": "prompt=", "Text": "text=", "Canvas": "canvas="}
"""The option that gives each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One input in words: exactly one of `prompt`, `messages`, `text` and `canvas` is given."""

    id: str | int
    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    text: str | None = None
    canvas: str | None = None

    @property
    def shown(self) -> str:
        """The input as records repeat it."""
        if self.messages:
            return self.messages[-1].content
        return next((words for words in (self.prompt, self.text, self.canvas) if words is not None), "")

    @property
    def kind(self) -> str:
        """The kind that the input is of."""
        if self.canvas is not None:
            return "Canvas"
        return "Text" if self.text is not None else "Prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request on its way through an executor."""

    id: str | int
    shown: str
    generation: Generation
    value: Segment | None = None
    """None when it could not be encoded."""


def encode(
    ask: Ask, *, model: LoadedModel, starts: tuple[type[Segment], ...], generation: Generation, recipe: str
) -> Segment:
    """The input as a segment of the kind that the flow starts from.

    Raises:
        RunError: WRONG_INPUT_KIND, NOT_TEXT, EMPTY_PROMPT, PROMPT_TOO_LONG or NO_CHAT_TEMPLATE.
    """
    names = [kind.__name__ for kind in starts]
    if ask.kind not in names:
        wanted = " or ".join(f"a {name}" for name in names)
        options = " or ".join(OPTIONS[name] for name in names)
        raise RunError(
            [
                WRONG_INPUT_KIND(
                    recipe=recipe,
                    wanted=wanted,
                    given=f"a {ask.kind}",
                    want_option=options,
                    given_option=OPTIONS[ask.kind],
                )
            ]
        )
    try:
        ask.shown.encode()
        "".join(turn.content for turn in ask.messages or ()).encode()
    except UnicodeEncodeError as error:
        reason = f"{error.object[error.start]!a} at character {error.start + 1} is half of a pair"
        raise RunError([NOT_TEXT(reason=reason)]) from error
    if ask.text is not None:
        return _text(ask.text, model)
    if ask.canvas is not None:
        return _canvas(ask.canvas, model)
    prompt = model.codec.prompt(ask.messages or (), text=ask.prompt or "", chat=generation.chat)
    model.check_prompt(len(prompt.token_ids))
    return prompt


def _text(words: str, model: LoadedModel) -> Text:
    if not words.strip():
        raise RunError([EMPTY_PROMPT(what="text")])
    ids = model.codec.encode(words)
    return Text(token_ids=ids, tokenizer=model.codec.fingerprint, text=words, origin=("input",) * len(ids))


HOLE: Final = "[MASK]"
"""How a canvas in words has a hole: a place for one token."""


def _canvas(words: str, model: LoadedModel) -> Canvas:
    """Text around holes. What is given is frozen.

    Raises:
        RunError: EMPTY_PROMPT, for a canvas of nothing.
    """
    if not words.strip():
        raise RunError([EMPTY_PROMPT(what="canvas")])
    ids: list[int] = []
    holes: list[bool] = []
    for number, piece in enumerate(words.split(HOLE)):
        if number:
            ids.append(model.codec.start_id)
            holes.append(True)
        known = model.codec.encode(piece) if piece else ()
        ids += known
        holes += [False] * len(known)
    return Canvas(
        token_ids=tuple(ids),
        tokenizer=model.codec.fingerprint,
        holes=tuple(holes),
        frozen=tuple(not hole for hole in holes),
        origin=("input",) * len(ids),
    )

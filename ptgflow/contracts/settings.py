"""How to generate: the options of a run that every stage shares."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MOST_BIAS: Final = 100.0
"""Of a token's bias, either way; the bound that OpenAI's interface has."""
MOST_LOGPROBS: Final = 20
"""Tokens that can be reported at each place; the bound that OpenAI's interface has."""


def _not_empty(strings: tuple[str, ...]) -> tuple[str, ...]:
    if not all(strings):
        raise ValueError("a stop string has at least one character")
    return strings


StopStrings = Annotated[tuple[str, ...], AfterValidator(_not_empty)]
"""Strings that end a text. An empty one would end every text before it began."""


def _in_order(value: object) -> tuple[tuple[int, float], ...]:
    """A mapping, or pairs, as pairs in ascending order of the token ids."""
    items: Iterable[object]
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = cast("Sequence[object]", value)
    else:
        raise ValueError("it maps token ids to biases: {TOKEN_ID: BIAS, ...}")
    found: dict[int, float] = {}
    for item in items:
        token, bias = _pair(item)
        if token in found:
            raise ValueError(f"token {token} is given twice")
        found[token] = bias
    return tuple(sorted(found.items()))


def _pair(item: object) -> tuple[int, float]:
    pair = cast("Sequence[object]", item) if isinstance(item, tuple | list) else ()
    if len(pair) != 2:
        raise ValueError("it maps token ids to biases: {TOKEN_ID: BIAS, ...}")
    token, bias = pair
    # Keys are strings in JSON, and where a recipe's author put them in quotes.
    if isinstance(token, str) and token.isascii() and token.isdigit():
        token = int(token)
    if not isinstance(token, int) or isinstance(token, bool) or token < 0:
        raise ValueError(f"a token id is a whole number from 0, which {token!r} is not")
    # Not a number is in no range, so it is refused as well.
    if not isinstance(bias, int | float) or isinstance(bias, bool) or not -MOST_BIAS <= bias <= MOST_BIAS:
        raise ValueError(
            f"a bias is a number from {-MOST_BIAS:g} to {MOST_BIAS:g}, which {bias!r}, that of token {token}, is not"
        )
    return token, float(bias)


LogitBias = Annotated[tuple[tuple[int, float], ...], BeforeValidator(_in_order)]
"""Pairs of a token id and its bias, ids ascending and each once; given as a mapping. Pairs, because a model that is
frozen is also to be hashable."""


class Sampling(BaseModel):
    """How the next token is drawn. Temperature 0 is greedy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.0, ge=0.0, le=100.0, description="0 is greedy")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="keep the smallest set with this much probability")
    top_k: int | None = Field(default=None, ge=1, description="keep the k likeliest tokens; null: all")
    min_p: float = Field(default=0.0, ge=0.0, le=1.0, description="drop tokens below this share of the likeliest one")
    repetition_penalty: float = Field(
        default=1.0, gt=0.0, le=100.0, description="divides positive and multiplies negative logits of tokens seen"
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-100.0,
        le=100.0,
        description="subtracted from the logits of tokens in the answer so far",
    )
    logit_bias: LogitBias = Field(default=(), description="token ids, and what is added to their logits: -100 to 100")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MOST_LOGPROBS,
        description="likeliest tokens reported at each place; null: no report",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="the same seed gives the same text")


class Generation(BaseModel):
    """Everything about a run that is not the recipe's flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sampling: Sampling = Sampling()
    max_tokens: int = Field(default=512, ge=1, description="most tokens of the whole answer")
    stop: StopStrings = Field(default=(), description="strings that end the text; not part of it")

    chat: bool = Field(default=True, description="use the model's chat template")

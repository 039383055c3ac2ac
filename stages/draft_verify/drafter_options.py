"""Options of drafters from datastores, from iterations and in cascades. No torch."""

from typing import Final

from pydantic import Field, field_validator

from ptgflow.contracts import Conflict
from ptgflow.stages.draft_verify.options import Tree, VerifyOptions, not_below


class RetrievalOptions(VerifyOptions):
    """Drafts looked up in texts of one's own."""

    tree: Tree = Field(default="dyspec", description="the shape of drafts")
    datastore: str | None = Field(default=None, description="a folder that `ptgflow train retrieval` wrote")
    min_match: int = Field(default=2, ge=1, le=64, description="shortest end that is looked up")
    max_match: int = Field(default=16, ge=1, le=64, description="longest end that is looked up")
    candidates: int = Field(
        default=5000, ge=1, le=100_000, description="most continuations that are counted; of more, so many evenly"
    )

    _ordered = field_validator("max_match")(not_below("min_match"))


WINDOW: Final = 5
NGRAM: Final = 4
GUESSES: Final = 5


class JacobiOptions(VerifyOptions):
    """Drafts that the target's own answers to earlier guesses make."""

    k: int = Field(default=32, ge=1, le=64, description="most tokens proposed a round, those of the window included")
    tree: Tree = Field(
        default="dyspec",
        description="`chain`: Jacobi decoding, a chain of k guesses; others: lookahead decoding, and the shape of what "
        "its pool has",
    )
    window: int | None = Field(
        default=None, ge=1, le=32, description="of lookahead: places ahead that are iterated (W); null: 5"
    )
    ngram: int | None = Field(
        default=None, ge=2, le=16, description="of lookahead: tokens of an n-gram, and steps kept (N); null: 4"
    )
    guesses: int | None = Field(
        default=None, ge=1, le=64, description="of lookahead: most n-grams with one first token (G); null: 5"
    )
    from_text: bool = Field(
        default=False, description="of lookahead: whether n-grams of prompt and answer are in the pool, too"
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Window, n-gram and guesses, with the defaults in."""
        return self.window or WINDOW, self.ngram or NGRAM, self.guesses or GUESSES

    @property
    def window_nodes(self) -> int:
        """Most tokens of the window: it begins with one row and more columns, and ends with all rows."""
        width, ngram, _ = self.shape
        return max((width + ngram - 1 - rows) * rows - 1 for rows in range(1, ngram))

    def conflicts(self) -> tuple[Conflict, ...]:
        found = list(super().conflicts())
        if self.tree == "chain":
            for name in ("window", "ngram", "guesses", "from_text"):
                value = getattr(self, name)
                if value:
                    off = "false" if value is True else "null"
                    reason = f"{name} is of lookahead decoding, and tree=chain is Jacobi decoding, a chain of k guesses"
                    found.append(Conflict(reason=reason, remedies=(f"{name}={off}", "tree=dyspec")))
        else:
            least = self.window_nodes + self.shape[1] - 1
            if self.k < least:
                width, ngram, _ = self.shape
                reason = (
                    f"a window of {width} places for n-grams of {ngram} has up to {self.window_nodes} tokens, which "
                    f"with one n-gram to verify are more than k={self.k}"
                )
                larger = (f"k={least}",) if least <= 64 else ()
                found.append(Conflict(reason=reason, remedies=(*larger, "window=2", "ngram=3")))
        deep = ("heuristic", "thompson", *(("confidence",) if self.tree == "chain" else ()))
        if self.length in deep:
            reason = f"length={self.length} chooses how much of a draft is verified, and an iteration needs all of it"
            found.append(Conflict(reason=reason, remedies=("length=expected_throughput", "length=fixed")))
        return tuple(found)


class CascadeOptions(VerifyOptions):
    """Drafts of a smaller model, for which n-grams draft."""

    draft: str | None = Field(default=None, description="card of the draft model, or a folder with a checkpoint")
    first: int = Field(
        default=6,
        ge=1,
        le=64,
        description="first tokens of a draft that are the draft model's; the others are n-grams'",
    )
    ahead: int = Field(
        default=8,
        ge=0,
        le=64,
        description="n-gram tokens that the draft model checks in a pass; 0: it writes token by token",
    )
    max_match: int = Field(default=16, ge=1, le=64, description="of a longer match of n-grams so many tokens count")
    earlier_tokens: int = Field(
        default=200_000, ge=0, description="how much of earlier requests the n-grams are from, too; 0: nothing"
    )

    def draft_model(self) -> str | None:
        return self.draft

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.first > self.k:
            reason = f"first={self.first} tokens of a draft are the draft model's, and a draft has at most k={self.k}"
            found = (*found, Conflict(reason=reason, remedies=(f"first={self.k}", f"k={self.first}")))
        return found

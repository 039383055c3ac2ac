"""What editors with learnt policies can be told, and FELIX, which only tags."""

from typing import Final, Literal

from pydantic import Field

from ptgflow.contracts import Conflict, StageOptions
from ptgflow.stages.edit.options import EditOptions

_WEIGHTS = "a folder with policies of edits; null: those that ship for the model"
_ADAPTERS = "a folder with adapters for canvases, those that the policies were trained with; null: those that ship"
_DELETE = "a token goes where the probability of that is larger"
_INSERT = "something is missing in a gap where the probability of that is larger"
_MOST = "most placeholders of a gap in a round; the policies have a bound of their own"


class PolicyOptions(EditOptions):
    """Which policies, and when something is missing."""

    weights: str | None = Field(default=None, description=_WEIGHTS)
    adapters: str | None = Field(default=None, description=_ADAPTERS)
    insert: float = Field(default=0.9, ge=0.0, le=1.0, description=_INSERT)
    most: int = Field(default=8, ge=1, le=16, description=_MOST)


class LevenshteinOptions(PolicyOptions):
    """When a token goes."""

    delete: float = Field(default=0.9, ge=0.0, le=1.0, description=_DELETE)


class InsertionOptions(PolicyOptions):
    """Insertion alone."""

    rounds: int = Field(default=4, ge=1, le=32, description="most rounds: each at most doubles what was inserted")


class RepositionOptions(PolicyOptions):
    """When a token goes, or another one comes in its place."""

    move: float = Field(
        default=0.9, ge=0.0, le=1.0, description="a place is given up where the probability of that is larger"
    )


_OF_POLICIES: Final = ("weights", "adapters", "delete", "insert", "most")
_OF_A_TAGGER: Final = ("tagger", "least_token")


class FelixOptions(StageOptions):
    """Who tags, and how sure he must be."""

    tags: Literal["policy", "tagger"] = Field(
        default="policy", description="who tags: policies of edits, or a tagger, of which places and lengths are taken"
    )
    weights: str | None = Field(default=None, description=_WEIGHTS)
    adapters: str | None = Field(default=None, description=_ADAPTERS)
    delete: float = Field(default=0.9, ge=0.0, le=1.0, description=_DELETE)
    insert: float = Field(default=0.9, ge=0.0, le=1.0, description=_INSERT)
    most: int = Field(default=8, ge=1, le=16, description=_MOST)
    tagger: str | None = Field(
        default=None, description="a folder with a tagger; null: the embedded one, which a package brings"
    )
    least_token: float = Field(default=0.9, ge=0.0, le=1.0, description="least probability of a tagger's edit")

    def conflicts(self) -> tuple[Conflict, ...]:
        """Options of the one who does not tag."""
        fields, other = type(self).model_fields, "tagger" if self.tags == "policy" else "policy"
        return tuple(
            Conflict(
                reason=f"tags={self.tags}, and {name}={getattr(self, name)} is of tags={other}",
                remedies=(
                    f"tags={other}",
                    f"{name}={'null' if fields[name].default is None else fields[name].default}",
                ),
            )
            for name in (_OF_A_TAGGER if self.tags == "policy" else _OF_POLICIES)
            if getattr(self, name) != fields[name].default
        )

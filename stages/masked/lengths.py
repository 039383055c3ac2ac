"""From a stage's options to the policy that decides how long a text gets."""

from typing import Final

from ptgflow.engine.canvas.lengths import FirstEnd, Fixed, LengthPolicy, UntilEnd
from ptgflow.stages.masked.length_options import Length, LengthOptions

_POLICIES: Final[dict[Length, type[FirstEnd] | type[UntilEnd] | type[Fixed]]] = {
    "first_end": FirstEnd,
    "until_end": UntilEnd,
    "fixed": Fixed,
}


def length_of(options: LengthOptions) -> LengthPolicy:
    """The policy that `length` names."""
    return _POLICIES[options.length](places=options.places)

"""From a stage's options to how the trees of its drafters are built."""

from typing import Any

from ptgflow.engine.growth import TREES, TreeBuilder
from ptgflow.engine.growth.shaped import RATES
from ptgflow.stages.draft_verify.options import TREE_PARAMETERS, VerifyOptions


def builder_of(options: VerifyOptions) -> TreeBuilder:
    """The builder that `tree` names, with its parameters where they are given."""
    given: dict[str, Any] = {
        trees[options.tree]: getattr(options, option)
        for option, trees in TREE_PARAMETERS.items()
        if options.tree in trees and getattr(options, option) is not None
    }
    ranks = given.pop("ranks", None)
    if ranks is not None:
        given["rates"] = RATES[:ranks]
    return TREES[options.tree](**given)

"""From a stage's options to how the trees of its drafters are built."""

from ptgflow.engine.growth import TREES, TreeBuilder
from ptgflow.stages.draft_verify.options import VerifyOptions


def builder_of(options: VerifyOptions) -> TreeBuilder:
    """The builder that `tree` names."""
    return TREES[options.tree]()

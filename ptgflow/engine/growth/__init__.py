"""Builders of token trees: from what a drafter thinks of each node to the nodes that are worth verifying."""

from ptgflow.engine.growth.builder import Candidates, Growing, Grown, TreeBuilder, Wanted
from ptgflow.engine.growth.builders import TREES
from ptgflow.engine.growth.together import grow_together

__all__ = ["TREES", "Candidates", "Growing", "Grown", "TreeBuilder", "Wanted", "grow_together"]

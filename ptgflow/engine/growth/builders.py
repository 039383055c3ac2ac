"""The builders by name."""

from collections.abc import Callable
from typing import Final

from ptgflow.engine.growth.builder import TreeBuilder
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.growth.dynamic import DynamicDepth, DySpec, Eagle2, OptTree
from ptgflow.engine.growth.shaped import Sequoia, Static

TREES: Final[dict[str, Callable[..., TreeBuilder]]] = {
    "chain": Chain,
    "static": Static,
    "eagle2": Eagle2,
    "opt_tree": OptTree,
    "sequoia": Sequoia,
    "dyspec": DySpec,
    "dynamic_depth": DynamicDepth,
}
"""Name -> how one is made, with its defaults where it is told nothing."""

"""Acceptance rules: which proposals the target keeps, and which token it writes after them. No model inside."""

from collections.abc import Mapping
from typing import Final

from ptgflow.engine.acceptance.bild import Bild as Bild
from ptgflow.engine.acceptance.block import Block as Block
from ptgflow.engine.acceptance.match import Match as Match
from ptgflow.engine.acceptance.residual import residual_distribution as residual_distribution
from ptgflow.engine.acceptance.rule import AcceptanceRule as AcceptanceRule
from ptgflow.engine.acceptance.rule import TargetLaw as TargetLaw
from ptgflow.engine.acceptance.siblings import without_replacement as without_replacement
from ptgflow.engine.acceptance.speculative import Speculative as Speculative
from ptgflow.engine.acceptance.top_k import TopK as TopK
from ptgflow.engine.acceptance.typical import Typical as Typical
from ptgflow.engine.acceptance.unverified import Unverified as Unverified
from ptgflow.engine.acceptance.walking import Judged as Judged
from ptgflow.engine.acceptance.walking import walk as walk

RULES: Final[Mapping[str, type[AcceptanceRule]]] = {
    rule.name: rule for rule in (Match, Speculative, Block, Typical, TopK, Bild)
}
"""Every rule of verification by its name."""

"""Compose parallel text generation from typed stages, have the composition checked, and run it.

from ptgflow import Decompose, DraftVerify, compile

plan = compile(Decompose(method="skeleton") >> DraftVerify(drafter="ngram"), model="smollm2-135m")
print(plan.run("Give me five tips for a first marathon.").text)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str

    from ptgflow.api import Plan as Plan
    from ptgflow.api import compile as compile
    from ptgflow.api import load_recipe as load_recipe
    from ptgflow.contracts import Branches as Branches
    from ptgflow.contracts import Canvas as Canvas
    from ptgflow.contracts import Capability as Capability
    from ptgflow.contracts import Contract as Contract
    from ptgflow.contracts import Draft as Draft
    from ptgflow.contracts import Guarantee as Guarantee
    from ptgflow.contracts import Message as Message
    from ptgflow.contracts import MethodSpec as MethodSpec
    from ptgflow.contracts import ModelCard as ModelCard
    from ptgflow.contracts import Paradigm as Paradigm
    from ptgflow.contracts import Prompt as Prompt
    from ptgflow.contracts import StageOptions as StageOptions
    from ptgflow.contracts import Text as Text
    from ptgflow.contracts import Verified as Verified
    from ptgflow.diagnostics import Diagnostic as Diagnostic
    from ptgflow.diagnostics import Severity as Severity
    from ptgflow.dsl import MTP as MTP
    from ptgflow.dsl import Decompose as Decompose
    from ptgflow.dsl import DraftVerify as DraftVerify
    from ptgflow.dsl import Edit as Edit
    from ptgflow.dsl import Flow as Flow
    from ptgflow.dsl import Masked as Masked
    from ptgflow.dsl import Merge as Merge
    from ptgflow.dsl import OneShot as OneShot
    from ptgflow.dsl import Pipeline as Pipeline
    from ptgflow.dsl import Remask as Remask
    from ptgflow.errors import InternalError as InternalError
    from ptgflow.errors import PtgError as PtgError
    from ptgflow.errors import RecipeError as RecipeError
    from ptgflow.errors import RunError as RunError
    from ptgflow.executors.events import Event as Event
    from ptgflow.executors.result import Result as Result

_HOME = {
    "Branches": "ptgflow.contracts",
    "Canvas": "ptgflow.contracts",
    "Capability": "ptgflow.contracts",
    "compile": "ptgflow.api",
    "Contract": "ptgflow.contracts",
    "Decompose": "ptgflow.dsl",
    "Diagnostic": "ptgflow.diagnostics",
    "Draft": "ptgflow.contracts",
    "DraftVerify": "ptgflow.dsl",
    "Edit": "ptgflow.dsl",
    "Event": "ptgflow.executors.events",
    "Flow": "ptgflow.dsl",
    "Guarantee": "ptgflow.contracts",
    "InternalError": "ptgflow.errors",
    "load_recipe": "ptgflow.api",
    "Masked": "ptgflow.dsl",
    "Merge": "ptgflow.dsl",
    "Message": "ptgflow.contracts",
    "MethodSpec": "ptgflow.contracts",
    "ModelCard": "ptgflow.contracts",
    "MTP": "ptgflow.dsl",
    "OneShot": "ptgflow.dsl",
    "Paradigm": "ptgflow.contracts",
    "Pipeline": "ptgflow.dsl",
    "Plan": "ptgflow.api",
    "Prompt": "ptgflow.contracts",
    "PtgError": "ptgflow.errors",
    "RecipeError": "ptgflow.errors",
    "Remask": "ptgflow.dsl",
    "Result": "ptgflow.executors.result",
    "RunError": "ptgflow.errors",
    "Severity": "ptgflow.diagnostics",
    "StageOptions": "ptgflow.contracts",
    "Text": "ptgflow.contracts",
    "Verified": "ptgflow.contracts",
}
"""Public name -> module. Names are imported when they are first used, so that `ptgflow --help` answers at once."""

__all__ = [
    "MTP",
    "Branches",
    "Canvas",
    "Capability",
    "Contract",
    "Decompose",
    "Diagnostic",
    "Draft",
    "DraftVerify",
    "Edit",
    "Event",
    "Flow",
    "Guarantee",
    "InternalError",
    "Masked",
    "Merge",
    "Message",
    "MethodSpec",
    "ModelCard",
    "OneShot",
    "Paradigm",
    "Pipeline",
    "Plan",
    "Prompt",
    "PtgError",
    "RecipeError",
    "Remask",
    "Result",
    "RunError",
    "Severity",
    "StageOptions",
    "Text",
    "Verified",
    "__version__",
    "compile",
    "load_recipe",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("ptgflow")
    if name not in _HOME:
        raise AttributeError(f"module 'ptgflow' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)

"""Compose parallel text generation from typed stages, have the composition checked, and run it.

from ptgflow import Decompose, DraftVerify, compile

plan = compile(Decompose(method="skeleton") >> DraftVerify(drafter="ngram"), model="smollm2-135m")
print(plan.run("Give me five tips for a first marathon.").text)
"""

from importlib.metadata import version as _version

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
from ptgflow.errors import InternalError as InternalError
from ptgflow.errors import PtgError as PtgError
from ptgflow.errors import RecipeError as RecipeError
from ptgflow.errors import RunError as RunError

__version__ = _version("ptgflow")

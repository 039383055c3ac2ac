"""What flows between stages, and what stages and methods declare. Pure data; imports nothing heavy."""

from ptgflow.contracts.capabilities import Capability as Capability
from ptgflow.contracts.contract import Contract as Contract
from ptgflow.contracts.contract import FlowType as FlowType
from ptgflow.contracts.contract import Shape as Shape
from ptgflow.contracts.contract import Writes as Writes
from ptgflow.contracts.guarantee import NO_GUARANTEE as NO_GUARANTEE
from ptgflow.contracts.guarantee import Guarantee as Guarantee
from ptgflow.contracts.guarantee import Level as Level
from ptgflow.contracts.kinds import KINDS as KINDS
from ptgflow.contracts.kinds import Branches as Branches
from ptgflow.contracts.kinds import Canvas as Canvas
from ptgflow.contracts.kinds import Draft as Draft
from ptgflow.contracts.kinds import Message as Message
from ptgflow.contracts.kinds import Prompt as Prompt
from ptgflow.contracts.kinds import Segment as Segment
from ptgflow.contracts.kinds import Text as Text
from ptgflow.contracts.kinds import Verified as Verified
from ptgflow.contracts.method import MethodSpec as MethodSpec
from ptgflow.contracts.method import StageOptions as StageOptions
from ptgflow.contracts.method_table import MethodTable as MethodTable
from ptgflow.contracts.model_card import ModelCard as ModelCard
from ptgflow.contracts.paradigms import PARADIGMS as PARADIGMS
from ptgflow.contracts.paradigms import SIX as SIX
from ptgflow.contracts.paradigms import Paradigm as Paradigm
from ptgflow.contracts.paradigms import ParadigmSpec as ParadigmSpec

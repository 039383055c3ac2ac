"""What a person writes: stages, joined by `>>`."""

from ptgflow.dsl.paradigms import MTP as MTP
from ptgflow.dsl.paradigms import DraftVerify as DraftVerify
from ptgflow.dsl.paradigms import Edit as Edit
from ptgflow.dsl.paradigms import Masked as Masked
from ptgflow.dsl.paradigms import OneShot as OneShot
from ptgflow.dsl.paradigms import Remask as Remask
from ptgflow.dsl.pipeline import Decompose as Decompose
from ptgflow.dsl.pipeline import Flow as Flow
from ptgflow.dsl.pipeline import Merge as Merge
from ptgflow.dsl.pipeline import Pipeline as Pipeline
from ptgflow.dsl.pipeline import Stage as Stage

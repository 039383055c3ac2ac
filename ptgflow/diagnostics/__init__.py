"""Errors as data: rules with stable codes, findings made from them, and their pages."""

from ptgflow.diagnostics.model import Diagnostic as Diagnostic
from ptgflow.diagnostics.model import Location as Location
from ptgflow.diagnostics.model import Report as Report
from ptgflow.diagnostics.model import Rule as Rule
from ptgflow.diagnostics.model import Severity as Severity

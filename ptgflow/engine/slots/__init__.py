"""Keys and values of many rows, each with a length of its own."""

from ptgflow.engine.slots.cache import SlotCache, SlotsFullError
from ptgflow.engine.slots.fixed import FixedPlacement
from ptgflow.engine.slots.placement import Group, Placement
from ptgflow.engine.slots.row_input import RowInput
from ptgflow.engine.slots.storage import Bucket, KeyValueShape

__all__ = ["Bucket", "FixedPlacement", "Group", "KeyValueShape", "Placement", "RowInput", "SlotCache", "SlotsFullError"]

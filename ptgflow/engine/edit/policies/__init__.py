"""Policies of edits that are learnt: what goes, where something is missing, and what stands in the wrong place."""

"""Heads in the formats that others publish, translated into ours: one module a format."""

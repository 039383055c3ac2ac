"""Texts that a grammar allows: reading a text under it, and ruling out tokens while one is written."""
